use super::*;
use filters::guard::approver::Rules;
use filters::identity::{Identity, Proof};

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn petition(requester: &str, fingerprint: u8) -> Petition {
    Petition {
        requester: requester.into(),
        tenant: None,
        subject: requester.into(),
        server: "s".into(),
        target: "t".to_owned(),
        rule: "r".into(),
        reason: String::new(),
        trace_id: String::new(),
        fingerprint: [fingerprint; 32],
        arguments: None,
    }
}

const TTL: Duration = Duration::from_secs(10);

fn asked(approvals: &Approvals, id: &str, fingerprint: u8) -> Approval {
    let petition = petition("alice", fingerprint);
    approvals.ask(id.to_owned(), petition, TTL, at(0)).unwrap()
}

fn decide(
    approvals: &Approvals,
    id: &str,
    by: &str,
    is_yes: bool,
    now: u64,
) -> Result<Approval, Refused> {
    let decision = Decision {
        approver: Approver::Said(by),
        is_yes,
        note: None,
    };
    let rules = Rules::default();
    let check = |approver: Approver<'_>, requester: Requester<'_>| rules.check(approver, requester);
    approvals.decide(id, decision, check, at(now))
}

fn approve(approvals: &Approvals, id: &str, by: &str, now: u64) -> Result<Approval, Refused> {
    decide(approvals, id, by, true, now)
}

fn label(redeemed: &Redeemed) -> &'static str {
    match redeemed {
        Redeemed::Yes => "yes",
        Redeemed::No(status) => status.label(),
        Redeemed::Mismatch => "mismatch",
    }
}

#[test]
fn an_approval_is_good_once_for_who_asked_and_what_was_asked() {
    let approvals = Approvals::default();
    asked(&approvals, "a", 1);
    let redeem =
        |id, client, print: u8, now| label(&approvals.redeem(id, client, &[print; 32], at(now)));
    assert_eq!(redeem("a", "alice", 1, 1), "pending");
    approve(&approvals, "a", "bob", 1).unwrap();
    assert_eq!(redeem("a", "bob", 1, 1), "mismatch");
    assert_eq!(redeem("a", "alice", 2, 1), "mismatch");
    assert_eq!(redeem("b", "alice", 1, 1), "mismatch");
    assert_eq!(redeem("a", "alice", 1, 9), "yes");
    assert_eq!(redeem("a", "alice", 1, 9), "used");
}

#[test]
fn what_is_given_back_is_good_once_more() {
    let approvals = Approvals::default();
    asked(&approvals, "a", 1);
    approve(&approvals, "a", "bob", 1).unwrap();
    let spent = Spent {
        id: "a".to_owned(),
        fingerprint: [1; 32],
        round: None,
    };
    let redeem = |now| label(&approvals.redeem("a", "alice", &[1; 32], at(now)));
    assert_eq!(redeem(2), "yes");
    approvals.restore(&spent);
    assert_eq!(redeem(3), "yes");
    assert_eq!(redeem(3), "used");
    approvals.restore(&spent);
    assert_eq!(redeem(10), "expired");
}

#[test]
fn what_expired_is_neither_approved_nor_used() {
    let approvals = Approvals::default();
    asked(&approvals, "a", 1);
    asked(&approvals, "b", 2);
    approve(&approvals, "a", "bob", 9).unwrap();
    let redeemed = approvals.redeem("a", "alice", &[1; 32], at(10));
    assert_eq!(label(&redeemed), "expired");
    let late = approve(&approvals, "b", "bob", 10).map(|_| ());
    assert_eq!(late, Err(Refused::Settled(Status::Expired)));
}

#[test]
fn nobody_decides_on_their_own_or_twice() {
    let approvals = Approvals::default();
    asked(&approvals, "a", 1);
    let own = approve(&approvals, "a", "alice", 1).map(|_| ());
    assert_eq!(own, Err(Refused::Denied(Denied::Own)));
    let rejected = decide(&approvals, "a", "bob", false, 1);
    assert_eq!(rejected.unwrap().status, Status::Rejected);
    let again = approve(&approvals, "a", "bob", 1).map(|_| ());
    assert_eq!(again, Err(Refused::Settled(Status::Rejected)));
    assert_eq!(
        approve(&approvals, "x", "bob", 1).map(|_| ()),
        Err(Refused::Unknown)
    );
}

#[test]
fn the_same_is_asked_for_once() {
    let approvals = Approvals::default();
    asked(&approvals, "a", 1);
    assert_eq!(asked(&approvals, "b", 1).id, "a");
    approve(&approvals, "a", "bob", 1).unwrap();
    assert!(matches!(
        approvals.redeem("a", "alice", &[1; 32], at(1)),
        Redeemed::Yes
    ));
    assert_eq!(
        asked(&approvals, "c", 1).id,
        "c",
        "one that was used is over"
    );
}

#[test]
fn a_client_has_its_share_of_the_places_and_no_more() {
    let approvals = Approvals::default();
    let ask = |who: &str, n: usize| {
        let mut petition = petition(who, 0);
        petition.fingerprint[..8].copy_from_slice(&n.to_le_bytes());
        petition.fingerprint[8] = who.as_bytes()[0];
        approvals.ask(format!("{who}{n}"), petition, TTL, at(0))
    };
    assert!((0..PENDING_MAX).all(|n| ask("alice", n).is_some()));
    assert!(ask("alice", PENDING_MAX).is_none());
    assert!(ask("bob", 0).is_some());
    let said = |n: usize| Identity::of_tenant(&n.to_string()).subject;
    assert!((0..PENDING_MAX).all(|n| ask(&said(n), n).is_some()));
    assert!(ask(&said(PENDING_MAX), PENDING_MAX).is_none());
}

/// One that bob approved and that was made use of.
fn used(approvals: &Approvals) {
    asked(approvals, "a", 1);
    let approval = approve(approvals, "a", "bob", 1).unwrap();
    let decider = approval.approver.unwrap();
    assert_eq!((&*decider.client, decider.proof), ("bob", Proof::None));
    let redeemed = approvals.redeem("a", "alice", &[1; 32], at(1));
    assert_eq!(label(&redeemed), "yes");
}

#[test]
fn a_call_goes_on_in_the_round_that_its_server_began_and_once() {
    let approvals = Approvals::default();
    asked(&approvals, "a", 1);
    assert!(!approvals.begin_round("a", [7; 16]), "nobody approved it");
    let approvals = Approvals::default();
    used(&approvals);
    let resume = |client, print: u8, round: u8, now| {
        label(&approvals.resume("a", client, &[print; 32], &[round; 16], at(now)))
    };
    assert_eq!(resume("alice", 1, 7, 2), "used", "no round was begun");
    assert!(approvals.begin_round("a", [7; 16]));
    assert_eq!(resume("bob", 1, 7, 2), "mismatch");
    assert_eq!(resume("alice", 2, 7, 2), "mismatch");
    assert_eq!(resume("alice", 1, 8, 2), "used", "that is another round");
    assert_eq!(resume("alice", 1, 7, 2), "yes");
    assert_eq!(resume("alice", 1, 7, 2), "used", "it is over");
    assert!(approvals.begin_round("a", [9; 16]));
    assert_eq!(resume("alice", 1, 7, 2), "used", "an earlier one");
    assert_eq!(resume("alice", 1, 9, 10), "expired");
}

#[test]
fn a_round_that_is_given_back_is_good_once_more() {
    let approvals = Approvals::default();
    used(&approvals);
    assert!(approvals.begin_round("a", [7; 16]));
    let resume = || label(&approvals.resume("a", "alice", &[1; 32], &[7; 16], at(2)));
    assert_eq!(resume(), "yes");
    approvals.restore(&Spent {
        id: "a".to_owned(),
        fingerprint: [1; 32],
        round: Some([7; 16]),
    });
    assert_eq!(resume(), "yes");
    assert_eq!(resume(), "used");
    let redeemed = approvals.redeem("a", "alice", &[1; 32], at(2));
    assert_eq!(label(&redeemed), "used", "the approval itself stays used");
}

#[test]
fn what_its_client_withdrew_is_never_approved() {
    let approvals = Approvals::default();
    asked(&approvals, "a", 1);
    let withdraw = |who| label(&approvals.withdraw("a", who, &[1; 32], at(1)));
    assert_eq!(withdraw("bob"), "mismatch");
    assert_eq!(withdraw("alice"), "yes");
    assert_eq!(withdraw("alice"), "withdrawn");
    let late = approve(&approvals, "a", "bob", 2).map(|_| ());
    assert_eq!(late, Err(Refused::Settled(Status::Withdrawn)));
    assert_eq!(
        asked(&approvals, "b", 1).id,
        "b",
        "it can be asked for anew"
    );
}

#[test]
fn what_was_approved_can_be_withdrawn_until_it_is_used() {
    let approvals = Approvals::default();
    asked(&approvals, "a", 1);
    approve(&approvals, "a", "bob", 1).unwrap();
    let withdrawn = approvals.withdraw("a", "alice", &[1; 32], at(2));
    assert_eq!(label(&withdrawn), "yes");
    let redeemed = approvals.redeem("a", "alice", &[1; 32], at(2));
    assert_eq!(label(&redeemed), "withdrawn");
    let approvals = Approvals::default();
    used(&approvals);
    let late = approvals.withdraw("a", "alice", &[1; 32], at(2));
    assert_eq!(label(&late), "used");
}

#[test]
fn who_withdraws_makes_no_room_by_it_before_its_time_is_over() {
    let approvals = Approvals::default();
    let ask = |n: usize, now| {
        let mut petition = petition("alice", 0);
        petition.fingerprint[..8].copy_from_slice(&n.to_le_bytes());
        let (id, print) = (n.to_string(), petition.fingerprint);
        let asked = approvals.ask(id.clone(), petition, TTL, at(now)).is_some();
        asked && label(&approvals.withdraw(&id, "alice", &print, at(now))) == "yes"
    };
    assert!((0..PENDING_MAX).all(|n| ask(n, 0)));
    assert!(!ask(PENDING_MAX, 9));
    assert!(ask(PENDING_MAX, 10));
}

/// Asks for what takes so many bytes.
fn takes(approvals: &Approvals, client: &str, fingerprint: u8, n_bytes: usize) -> bool {
    let mut petition = petition(client, fingerprint);
    let head = petition.n_bytes();
    petition.arguments = Some("x".repeat(n_bytes - head));
    let id = format!("{client}{fingerprint}");
    approvals.ask(id, petition, TTL, at(0)).is_some()
}

#[test]
fn what_a_client_asks_for_takes_its_share_of_bytes_at_most() {
    let approvals = Approvals::default();
    assert!(takes(&approvals, "alice", 0, PENDING_BYTES_MAX - 10));
    assert!(!takes(&approvals, "alice", 1, 11));
    assert!(takes(&approvals, "alice", 2, 10));
    assert!(takes(&approvals, "bob", 3, 11));
}

#[test]
fn what_was_settled_makes_room_in_bytes_for_what_is_asked() {
    let approvals = Approvals {
        bytes_max: 100,
        ..Approvals::default()
    };
    assert!(takes(&approvals, "alice", 0, 50) && takes(&approvals, "bob", 1, 50));
    assert!(!takes(&approvals, "carol", 2, 10));
    decide(&approvals, "alice0", "dave", false, 1).unwrap();
    assert!(takes(&approvals, "carol", 2, 10));
    assert!(approvals.find("alice0", at(1)).is_none());
    assert!(approvals.find("bob1", at(1)).is_some());
}
