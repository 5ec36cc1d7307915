//! Every row, and random values for every row.

use super::*;

#[test]
fn names_are_unique_and_documented() {
    let mut names: Vec<&str> = table::rows().flat_map(|row| [Some(row.name), row.alias]).flatten().collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for row in table::rows() {
        assert!(row.doc.ends_with('.'), "{}", row.name);
        assert!(!row.name.bytes().any(|byte| byte.is_ascii_uppercase()), "{}", row.name);
        assert!(foreign::find(row.name.as_bytes()).is_none(), "{}", row.name);
    }
}

#[test]
fn every_name_of_redis_7_0_15_is_known_with_its_default() {
    let settings = Settings::default();
    let listed = get(&settings, &["*"]);
    for line in include_str!("redis-7.0.15-defaults.txt").lines() {
        let (name, default) = line.split_once('\t').unwrap();
        let found = listed.iter().find(|(known, _)| known == name);
        let found = found.unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(String::from_utf8_lossy(&found.1), default, "{name}");
    }
    let ours =
        ["shards", "locality-rule", "blocking-timeout-margin", "blocked-pop-doubt", "script-intrinsics"];
    // Of Redis 7.2.
    let newer = ["set-max-listpack-entries", "set-max-listpack-value"];
    let redis = include_str!("redis-7.0.15-defaults.txt").lines().count();
    assert_eq!(listed.len(), redis + ours.len() + newer.len());
}

#[test]
fn defaults_are_those_of_the_table() {
    let settings = Settings::default();
    for row in table::rows() {
        assert_eq!(String::from_utf8(row.text(&settings)).unwrap(), row.default, "{}", row.name);
        assert_eq!(row.concern(&settings), None, "{}", row.name);
    }
    assert_eq!((settings.port, settings.databases, settings.maxclients), (6379, 16, 10000));
    assert_eq!(settings.save.len(), 3);
    assert_eq!(settings.bind, ["*", "-::*"]);
}

#[test]
fn a_later_row_says_so_and_a_working_one_does_not() {
    for row in table::rows() {
        if let Status::Later { feature, .. } = row.status {
            assert!(
                feature.ends_with(" is") || feature.ends_with(" are"),
                "{}: {feature} not built yet",
                row.name
            );
        }
    }
}

/// Values a row might get: its own kind of them, mostly good.
fn candidate(row: &'static Parameter) -> BoxedStrategy<Vec<Vec<u8>>> {
    let words = |count: usize, word: &'static str| {
        proptest::collection::vec(word.prop_map(String::into_bytes), count..=count).boxed()
    };
    match row.kind {
        Kind::YesNo { .. } => words(1, "yes|no|YES|maybe"),
        Kind::Word { words: known, .. } => {
            proptest::sample::select(known).prop_map(|word| vec![word.as_bytes().to_vec()]).boxed()
        }
        Kind::Number { .. } => words(1, "-?[0-9]{1,20}(kb|mb|gb|%|)"),
        Kind::Text { .. } => proptest::collection::vec(any::<Vec<u8>>(), 1).boxed(),
        Kind::Special { arity: Arity::One, .. } => {
            words(1, "auto|[0-9]{1,4}|[A-Zgx$lshzeKEtmdn]{0,5}|/[a-z]{1,5}")
        }
        Kind::Special { arity: Arity::Exactly(count), .. } => words(count, "-?[0-9]{1,4}"),
        Kind::Special { arity: Arity::Multiple(4), .. } => {
            ("normal|slave|replica|pubsub|master", "[0-9]{1,4}(mb|)", "[0-9]{1,4}", "[0-9]{1,3}")
                .prop_map(|(a, b, c, d)| vec![a.into_bytes(), b.into_bytes(), c.into_bytes(), d.into_bytes()])
                .boxed()
        }
        Kind::Special { arity, .. } => {
            let words = "[0-9]{1,5}|[0-9]{1,2}\\.[0-9]{1,3}|now|force|save|nosave|default";
            let count = if arity == Arity::Some { 1..4 } else { 2..3 };
            proptest::collection::vec(words.prop_map(String::into_bytes), count).boxed()
        }
    }
}

fn any_assignment() -> impl Strategy<Value = (&'static Parameter, Vec<Vec<u8>>)> {
    let rows: Vec<&'static Parameter> = table::rows().collect();
    proptest::sample::select(rows).prop_flat_map(|row| (Just(row), candidate(row)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_a_row_prints_it_reads_back((row, args) in any_assignment()) {
        let before = Settings::default();
        let mut settings = before.clone();
        match row.assign(&mut settings, &args, Source::ConfigSet) {
            Err(_) => prop_assert_eq!(settings, before),
            Ok(()) => {
                let mut again = before.clone();
                let text = row.text(&settings);
                let words = match row.takes_many() {
                    true if text.is_empty() => vec![Vec::new()],
                    true => text.split(|&byte| byte == b' ').map(<[u8]>::to_vec).collect(),
                    false => vec![text],
                };
                // No master has no spelling of its own in CONFIG GET.
                if row.name != "replicaof" || settings.replicaof.is_some() {
                    prop_assert_eq!(row.assign(&mut again, &words, Source::ConfigSet), Ok(()));
                }
                prop_assert_eq!(again, settings);
            }
        }
    }

    #[test]
    fn a_rewritten_file_loads_as_the_same_settings(assignments in proptest::collection::vec(any_assignment(), 0..12), everything: bool) {
        let mut settings = Settings::default();
        for (row, args) in assignments {
            let mut next = settings.clone();
            let no_nul = args.iter().all(|arg| !arg.contains(&0));
            let assigned = no_nul && row.assign(&mut next, &args, Source::ConfigSet).is_ok();
            if assigned && row.concern(&next).is_none_or(|concern| concern.severity != parameter::Severity::Refuse) {
                settings = next;
            }
        }
        let old = b"# top\nsave 1 1\nsave 2 2 # twice\n\n\n\ninclude /other\nport 1\nport 2\nslave-priority 3\nbad \"\n";
        let text = rewrite(old, &settings, everything);
        let shown = String::from_utf8_lossy(&text).into_owned();
        let files = Memory(HashMap::from([(PathBuf::from("/redis.conf"), text.clone()), (PathBuf::from("/other"), Vec::new())]));
        let loaded = load(&Sources { file: Some("/redis.conf".into()), ..Sources::default() }, &files);
        prop_assert!(loaded.is_ok(), "{shown}\n{loaded:?}");
        let mut loaded = loaded.unwrap().settings;
        // Lines make points that are asked for.
        loaded.save_is_asked = settings.save_is_asked;
        prop_assert_eq!(&loaded, &settings, "{}", shown);
        prop_assert_eq!(rewrite(&text, &settings, everything), text);
    }

    #[test]
    fn any_bytes_load_or_are_refused(text in any::<Vec<u8>>()) {
        let _ = load_text(&text);
        let _ = rewrite(&text, &Settings::default(), true);
    }

    #[test]
    fn any_words_after_a_name_load_or_are_refused((row, tail) in (any_assignment(), any::<Vec<u8>>())) {
        let _ = load_text(&[row.0.name.as_bytes(), b" ", tail.as_slice()].concat());
    }

    #[test]
    fn any_flags_load_or_are_refused(args in proptest::collection::vec("-{0,2}[a-z \"'#-]{0,12}", 0..6)) {
        if let Ok(Invocation::Run(sources)) = parse_command_line(&args) {
            let _ = load(&sources, &Memory::default());
        }
    }

    #[test]
    fn any_set_is_all_or_nothing(assignments in proptest::collection::vec(any_assignment(), 1..4)) {
        let settings = Settings::default();
        let args: Vec<Vec<u8>> = assignments.into_iter().flat_map(|(row, words)| [row.name.as_bytes().to_vec(), words.join(&b' ')]).collect();
        if let Err(error) = set(&settings, &args, Asker::default()) {
            prop_assert!(error.reply().starts_with(b"ERR "));
        }
    }
}
