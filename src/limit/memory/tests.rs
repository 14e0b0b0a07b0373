use std::collections::BTreeMap;
use std::thread;

use filters::identity::Principal;
use filters::rate::rules::Rules;
use filters::rate::window::Limit;

use super::*;

const NOW: Duration = Duration::from_secs(1_000);

fn limit(n_calls: u32, seconds: u64) -> Limit {
    Limit {
        n_calls,
        window: Duration::from_secs(seconds),
    }
}

fn client(name: &str) -> Principal {
    Principal {
        client: name.into(),
        ..Principal::anonymous()
    }
}

fn call(memory: &Memory, rules: &Rules, name: &str, now: Duration) -> bool {
    let client = client(name);
    let bill = rules.bill(&client, Some("s"), Some("t"));
    memory.charge_at(&bill, now) == Decision::Allowed
}

fn n_passed(memory: &Memory, rules: &Rules, name: &str, n_calls: usize) -> usize {
    let calls = (0..n_calls).filter(|_| call(memory, rules, name, NOW));
    calls.count()
}

/// What the process holds of the machine's memory, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: usize = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib * 1024
}

#[test]
fn a_million_clients_stay_within_the_stated_bytes() {
    const SLACK: usize = 64 * 1024 * 1024;
    let rules = Rules::new(&[], &[limit(1, 3600)]);
    let memory = Memory::default();
    let before = resident();
    for n in 0..1_000_000 {
        assert!(call(&memory, &rules, &format!("auth0|{n:024}"), NOW));
    }
    assert_eq!(memory.count(), 1_000_000);
    assert!(memory.bytes() <= BYTES_MAX, "{}", memory.bytes());
    let taken = resident().saturating_sub(before);
    assert!(taken <= BYTES_MAX + SLACK, "{taken}");
    assert!(!call(
        &memory,
        &rules,
        &format!("auth0|{:024}", 999_999),
        NOW
    ));
}

#[test]
fn the_stated_bytes_are_what_a_table_of_that_size_takes() {
    assert_eq!(size_of::<(Key, Cell)>(), 128);
    let room = PART_CELLS_MAX;
    assert_eq!(table_bytes(room), (1 << 15) * 129);
    let table = Table::with_capacity_and_hasher(room, BuildHasherDefault::default());
    assert_eq!(table.capacity(), room);
    assert!(table_bytes(room) < PART_BYTES_MAX);
}

/// Makes it as full as it can be.
fn fill(memory: &Memory) {
    for part in &memory.parts {
        let mut part = part.lock();
        part.name_bytes = PART_BYTES_MAX;
        part.swept = Some(NOW);
    }
}

#[test]
fn who_mints_names_makes_nobodys_count_forgotten() {
    let rules = Rules::new(&[], &[limit(3, 3600)]);
    let memory = Memory::default();
    assert_eq!(n_passed(&memory, &rules, "victim", 9), 3);
    fill(&memory);
    let minted = (0..10_000).filter(|n| call(&memory, &rules, &n.to_string(), NOW));
    assert_eq!(minted.count(), 3 * PARTS);
    assert_eq!(n_passed(&memory, &rules, "victim", 9), 0);
    assert_eq!(memory.count(), 1);
    // What counts nothing any more makes room for newcomers.
    let later = NOW + Duration::from_secs(2 * 3600);
    let newcomers = (0..10_000).filter(|n| call(&memory, &rules, &n.to_string(), later));
    assert_eq!(newcomers.count(), 10_000);
    assert_eq!(memory.count(), 10_000);
}

#[test]
fn newcomers_to_a_full_part_share_one_count_for_each_limit() {
    let rules = Rules::new(&[], &[limit(2, 60), limit(100, 3600)]);
    let memory = Memory::default();
    fill(&memory);
    let mut n_passed = BTreeMap::new();
    for n in 0..1_000 {
        let name = format!("late {n}");
        let owner = client(&name);
        let bill = rules.bill(&owner, None, None);
        let mut places = bill
            .owners()
            .map(|one| memory.seeds.owner(&one).part(PARTS));
        let passed = n_passed.entry(places.next().unwrap()).or_insert(0);
        *passed += usize::from(call(&memory, &rules, &name, NOW));
    }
    assert!(n_passed.values().all(|n| *n == 2), "{n_passed:?}");
}

#[test]
fn names_too_long_to_be_kept_share_a_count() {
    let rules = Rules::new(&[], &[limit(1, 3600)]);
    let memory = Memory::default();
    let long = "x".repeat(PART_BYTES_MAX);
    let passed = (0..PARTS * 4).filter(|n| call(&memory, &rules, &format!("{n}{long}"), NOW));
    assert!(passed.count() <= PARTS);
    assert_eq!(memory.count(), 0);
    assert!(memory.bytes() <= BYTES_MAX);
    assert!(call(&memory, &rules, "short", NOW));
}

#[test]
fn of_calls_at_the_same_time_exactly_the_limit_passes_and_refused_ones_cost_nothing() {
    let mut rules = Rules::new(&[limit(1_000, 3600)], &[limit(60, 3600)]);
    rules.add_server("s", &[limit(900, 3600)]);
    rules.add_tool("s", "t", &[limit(800, 60)], &[limit(50, 60)]);
    let memory = Memory::default();
    let passed: Vec<usize> = thread::scope(|scope| {
        let callers = (0..8).map(|n| {
            let (memory, rules) = (&memory, &rules);
            scope.spawn(move || n_passed(memory, rules, &n.to_string(), 500))
        });
        let callers: Vec<_> = callers.collect();
        callers.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(passed, [50; 8]);
    let shown = memory.show(100);
    let used = |label: &str| {
        let of_label = shown.iter().filter(|one| &*one.rule.label == label);
        of_label.map(|one| one.used).sum::<u64>()
    };
    assert_eq!(
        [
            used("global/hour"),
            used("server/hour"),
            used("tool/minute")
        ],
        [400; 3]
    );
}

#[test]
fn a_reset_touches_what_it_names() {
    let mut rules = Rules::new(&[limit(100, 60)], &[limit(2, 60), limit(90, 3600)]);
    rules.add_tool("s", "t", &[], &[limit(50, 60)]);
    let memory = Memory::default();
    for name in ["a", "b"] {
        assert_eq!(n_passed(&memory, &rules, name, 5), 2);
    }
    memory.reset_client("a", Some("no tenant of its"));
    assert_eq!(n_passed(&memory, &rules, "a", 5), 0);
    memory.reset_client("a", None);
    let shown = memory.show(100);
    let clients = shown.iter().filter_map(|one| one.client.as_ref());
    let clients: Vec<_> = clients.map(|(_, client)| &**client).collect();
    assert_eq!(clients, ["b"; 3]);
    assert_eq!(n_passed(&memory, &rules, "a", 5), 2);
    assert_eq!(n_passed(&memory, &rules, "b", 5), 0);
    memory.reset();
    assert_eq!((memory.count(), memory.show(100)), (0, vec![]));
}

#[test]
fn a_changed_limit_holds_at_once_and_an_unchanged_one_keeps_its_count() {
    let memory = Memory::default();
    let of = |minute, hour| Rules::new(&[], &[limit(minute, 60), limit(hour, 3600)]);
    assert_eq!(n_passed(&memory, &of(10, 20), "c", 15), 10);
    assert_eq!(n_passed(&memory, &of(15, 20), "c", 15), 5);
    assert_eq!(n_passed(&memory, &of(5, 20), "c", 15), 0);
    assert_eq!(n_passed(&memory, &of(100, 20), "c", 15), 5);
}
