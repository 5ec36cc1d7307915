//! Every plan, crashed at every step, with every subset of what was not synced kept.

use super::*;
use crate::journal::sim_disk::SimDisk;

/// What a start finds: the concatenated files of the manifest, each whole.
fn load(disk: &mut SimDisk) -> Vec<String> {
    let names = AofNames::default();
    let manifest = disk.read(&names.manifest()).unwrap().map(|bytes| Manifest::parse(&bytes).unwrap());
    if let Some(plan) = names.upgrade(manifest.as_ref(), disk).unwrap() {
        let manifest = plan.run(disk).unwrap();
        return read_all(disk, &manifest);
    }
    manifest.map(|manifest| read_all(disk, &manifest)).unwrap_or_default()
}

fn read_all(disk: &mut SimDisk, manifest: &Manifest) -> Vec<String> {
    let names = AofNames::default();
    let file = |(info, _): (&FileInfo, bool)| {
        let bytes = disk.read(&names.path(&info.name)).unwrap();
        String::from_utf8(bytes.unwrap_or_else(|| panic!("{} is missing", info.name))).unwrap()
    };
    manifest.to_load().map(file).collect()
}

/// Runs the plan on a disk that stops after every number of steps and crashes in every way, or
/// reports an error there. What a start finds afterwards must be one of `allowed`.
fn crash_everywhere(disk: &SimDisk, plan: &Plan, allowed: &[Vec<&str>]) {
    let mut checked = 0;
    let check = |disk: &mut SimDisk, n: usize| {
        let found = load(disk);
        assert!(allowed.iter().any(|a| *a == found), "after {n} steps of {plan:?}: {found:?}");
    };
    for n in 0..=plan.steps.len() {
        let mut at = disk.clone();
        for step in &plan.steps[..n] {
            step.run(&mut at).unwrap();
        }
        for mut after in at.crashes() {
            check(&mut after, n);
            checked += 1;
        }
    }
    for n in 1..=plan.steps.len() {
        let mut at = disk.clone();
        (at.calls, at.fail_at) = (0, Some(n));
        assert!(plan.clone().run(&mut at).is_err());
        at.fail_at = None;
        check(&mut at.clone(), n);
        // And a crash after the failure.
        for mut after in at.crashes() {
            check(&mut after, n);
        }
    }
    assert!(checked > plan.steps.len());
}

#[test]
fn every_crash_leaves_a_manifest_that_names_whole_files() {
    let names = AofNames::default();
    let mut disk = SimDisk::default();

    // First start.
    let plan = names.open_incr(&Manifest::default(), b"H1");
    crash_everywhere(&disk, &plan, &[vec![], vec!["H1"]]);
    let manifest = plan.run(&mut disk).unwrap();
    assert_eq!(manifest.to_bytes(), b"file appendonly.aof.1.incr.aof seq 1 type i\n");
    disk.append(&names.path("appendonly.aof.1.incr.aof"), b"+a").unwrap();

    // A rewrite begins: what was appended is synced before the next file is named, and a torn end
    // is only ever in the last.
    let plan = names.open_incr(&manifest, b"H2");
    crash_everywhere(&disk, &plan, &[vec!["H1"], vec!["H1+a"], vec!["H1+a", "H2"]]);
    let manifest = plan.run(&mut disk).unwrap();

    // It ends.
    disk.create(&names.temp_base()).unwrap();
    disk.append(&names.temp_base(), b"BASE").unwrap();
    let plan = names.adopt_base(&manifest, false, 2);
    crash_everywhere(&disk, &plan, &[vec!["H1+a", "H2"], vec!["BASE", "H2"]]);
    let manifest = plan.run(&mut disk).unwrap();
    assert_eq!(
        String::from_utf8(manifest.to_bytes()).unwrap(),
        "file appendonly.aof.1.base.aof seq 1 type b\n\
         file appendonly.aof.1.incr.aof seq 1 type h\n\
         file appendonly.aof.2.incr.aof seq 2 type i\n"
    );
    let plan = names.remove_history(&manifest);
    crash_everywhere(&disk, &plan, &[vec!["BASE", "H2"]]);
    let manifest = plan.run(&mut disk).unwrap();
    assert!(manifest.history.is_empty());
    assert_eq!(disk.read(&names.path("appendonly.aof.1.incr.aof")).unwrap(), None);

    // A second rewrite replaces the base.
    let manifest = names.open_incr(&manifest, b"H3").run(&mut disk).unwrap();
    disk.create(&names.temp_base()).unwrap();
    disk.append(&names.temp_base(), b"BASE2").unwrap();
    let plan = names.adopt_base(&manifest, true, 3);
    crash_everywhere(&disk, &plan, &[vec!["BASE", "H2", "H3"], vec!["BASE2", "H3"]]);
    let manifest = plan.run(&mut disk).unwrap();
    assert_eq!(manifest.base.as_ref().unwrap().name, "appendonly.aof.2.base.rdb");

    // A torn end is cut.
    let plan = names.truncate(&manifest, "appendonly.aof.3.incr.aof", 1);
    crash_everywhere(&disk, &plan, &[vec!["BASE2", "H3"], vec!["BASE2", "H"]]);
}

#[test]
fn a_base_and_its_increment_come_into_force_together() {
    let names = AofNames::default();
    let mut disk = SimDisk::default();
    let manifest = names.open_incr(&Manifest::default(), b"H1").run(&mut disk).unwrap();
    disk.append(&names.path("appendonly.aof.1.incr.aof"), b"+a").unwrap();
    let base = |disk: &mut SimDisk, bytes: &[u8]| {
        disk.create(&names.temp_base()).unwrap();
        disk.append(&names.temp_base(), bytes).unwrap();
    };

    base(&mut disk, b"BASE");
    let plan = names.begin_anew(&manifest, Some(b"H2"));
    crash_everywhere(&disk, &plan, &[vec!["H1"], vec!["H1+a"], vec!["BASE", "H2"]]);
    let manifest = plan.run(&mut disk).unwrap();
    let manifest = names.remove_history(&manifest).run(&mut disk).unwrap();
    assert_eq!(
        String::from_utf8(manifest.to_bytes()).unwrap(),
        "file appendonly.aof.1.base.aof seq 1 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n"
    );

    // A base alone, and what is written after a start on it.
    base(&mut disk, b"BASE2");
    let plan = names.begin_anew(&manifest, None);
    crash_everywhere(&disk, &plan, &[vec!["BASE", "H2"], vec!["BASE2"]]);
    let manifest = plan.run(&mut disk).unwrap();
    let plan = names.open_incr(&manifest, b"H3");
    crash_everywhere(&disk, &plan, &[vec!["BASE2"], vec!["BASE2", "H3"]]);
    assert_eq!(plan.manifest.incr[0].name, "appendonly.aof.1.incr.aof");
}

#[test]
fn the_single_file_of_older_servers_is_moved_in() {
    let names = AofNames::default();
    let mut disk = SimDisk::default();
    disk.create("appendonly.aof").unwrap();
    disk.append("appendonly.aof", b"OLD").unwrap();
    disk.sync("appendonly.aof").unwrap();
    disk.sync_dir("").unwrap();
    let plan = names.upgrade(None, &mut disk).unwrap().unwrap();
    crash_everywhere(&disk, &plan, &[vec!["OLD"]]);
    let manifest = plan.run(&mut disk).unwrap();
    assert_eq!(manifest.to_bytes(), b"file appendonly.aof seq 1 type b\n");
    assert_eq!(names.upgrade(Some(&manifest), &mut disk).unwrap(), None, "once");
    // An old file beside a directory in use is left alone, as Redis leaves it.
    let manifest = names.open_incr(&manifest, b"H1").run(&mut disk).unwrap();
    disk.create("appendonly.aof").unwrap();
    assert_eq!(names.upgrade(Some(&manifest), &mut disk).unwrap(), None);
}

#[test]
fn the_harness_finds_a_plan_that_forgets_a_sync() {
    let names = AofNames::default();
    let disk = SimDisk::default();
    let plan = names.open_incr(&Manifest::default(), b"H1");
    let syncs: Vec<usize> = (0..plan.steps.len())
        .filter(|&i| matches!(&plan.steps[i], Step::Sync(_) | Step::SyncDir(_)))
        .collect();
    let mut found = 0;
    for at in syncs {
        let mut bad = plan.clone();
        bad.steps.remove(at);
        let caught = std::panic::catch_unwind(|| crash_everywhere(&disk, &bad, &[vec![], vec!["H1"]]));
        found += caught.is_err() as usize;
    }
    // The file, its entry, and the manifest's content (the last sync only makes it stay).
    assert_eq!(found, 3);
}
