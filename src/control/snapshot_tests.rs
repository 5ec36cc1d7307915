//! The snapshot's file, crashed at every step and with every call failing once.

use super::*;
use crate::journal::sim_disk::SimDisk;

const OLD: &[u8] = b"the old snapshot";
const NEW: [&[u8]; 3] = [b"the new", b" snapsh", b"ot"];

fn names() -> Names {
    Names { file: "dump.rdb".into(), temp: "temp-1.rdb".into() }
}

/// A disk with a snapshot that is safe.
fn disk() -> SimDisk {
    let mut disk = SimDisk::default();
    disk.create("dump.rdb").unwrap();
    disk.append("dump.rdb", OLD).unwrap();
    disk.sync("dump.rdb").unwrap();
    disk.sync_dir("").unwrap();
    disk
}

fn save(disk: &mut SimDisk, whole: bool) -> Result<(), String> {
    let (sender, parts) = mail(8);
    NEW.iter().for_each(|part| sender.send(SnapshotPart::Bytes(part.to_vec())).unwrap());
    if whole {
        sender.send(SnapshotPart::End).unwrap();
    }
    drop(sender);
    write(disk, &names(), &parts)?;
    put_in_place(disk, &names())
}

#[test]
fn every_crash_leaves_the_old_snapshot_or_the_new_one() {
    let mut ended = disk();
    ended.calls = 0;
    save(&mut ended, true).unwrap();
    let calls = ended.calls;
    assert_eq!(calls, 7, "create, three pieces, sync, rename, sync of the directory");
    let new = NEW.concat();
    for n in 1..=calls {
        let mut disk = disk();
        (disk.calls, disk.fail_at) = (0, Some(n));
        assert!(save(&mut disk, true).is_err(), "call {n} fails");
        disk.fail_at = None;
        for mut after in disk.crashes().chain([disk.clone()]) {
            let found = after.read("dump.rdb").unwrap().expect("there is one");
            let renamed = n > calls - 1;
            assert!(found == OLD || renamed && found == new, "after {} calls: {found:?}", n - 1);
        }
    }
    // Answered is safe.
    assert!(ended.crashes().all(|mut after| after.read("dump.rdb").unwrap().as_deref() == Some(&new)));
}

#[test]
fn a_snapshot_that_is_given_up_is_none() {
    let mut disk = disk();
    assert!(save(&mut disk, false).is_err());
    assert_eq!(disk.read("dump.rdb").unwrap().as_deref(), Some(OLD));
}
