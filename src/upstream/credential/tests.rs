use std::path::Path;

use tempfile::TempDir;

use super::*;

/// A credential in a file, and the task that keeps it fresh.
struct Bed {
    folder: TempDir,
    credential: Arc<Credential>,
    stop: CancellationToken,
    /// How renewals ended.
    told: Arc<Mutex<Vec<Renewal>>>,
}

impl Bed {
    /// One whose file is read all the time.
    fn start(text: Option<&str>) -> Self {
        Self::every(Duration::from_millis(2), text)
    }

    /// One whose file is read when that is needed.
    fn at_rest(text: Option<&str>) -> Self {
        Self::every(Duration::from_secs(3600), text)
    }

    fn every(every: Duration, text: Option<&str>) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("token");
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let source = Source::File(File::new(path, every));
        let credential = Arc::new(Credential::renewed("s".into(), source, Vec::new()));
        let stop = CancellationToken::new();
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let run = Arc::clone(&credential).run(stop.clone(), move |one| heard.lock().push(one));
        tokio::spawn(run);
        Self {
            folder,
            credential,
            stop,
            told,
        }
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    fn path(&self) -> impl AsRef<Path> {
        self.folder.path().join("token")
    }

    async fn line(&self) -> String {
        let ticket = self.credential.ticket().await;
        ticket.map_or_else(|error| error.to_string(), |ticket| line(&ticket))
    }

    /// Waits until that many renewals are over.
    async fn renewed(&self, count: u64) {
        let mut over = self.credential.over.subscribe();
        over.wait_for(|n| *n >= count).await.unwrap();
    }

    fn n_renewals(&self) -> u64 {
        *self.credential.over.borrow()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn line(ticket: &Ticket) -> String {
    String::from_utf8(ticket.line.clone()).unwrap()
}

const MISSING: &str = "the gateway's credential is not to be had";

#[tokio::test]
async fn who_comes_before_the_first_waits_for_it() {
    let bed = Bed::start(Some(" t-1\n"));
    assert_eq!(bed.line().await, "authorization: Bearer t-1\r\n");
}

#[tokio::test]
async fn a_file_that_changes_is_read_again_and_what_was_read_last_is_kept() {
    let bed = Bed::start(Some("t-1"));
    bed.line().await;
    bed.write("t-2");
    bed.renewed(bed.n_renewals() + 2).await;
    assert_eq!(bed.line().await, "authorization: Bearer t-2\r\n");
    for broken in ["", "two words", "a\r\nx: y", &"x".repeat(16 * 1024 + 1)] {
        bed.write(broken);
        bed.renewed(bed.n_renewals() + 2).await;
        assert_eq!(bed.line().await, "authorization: Bearer t-2\r\n");
    }
    std::fs::remove_file(bed.path()).unwrap();
    bed.renewed(bed.n_renewals() + 2).await;
    assert_eq!(bed.line().await, "authorization: Bearer t-2\r\n");
    bed.write(&"x".repeat(16 * 1024));
    bed.renewed(bed.n_renewals() + 2).await;
    assert_eq!(bed.line().await.len(), 16 * 1024 + 24);
}

#[tokio::test]
async fn how_each_renewal_ended_is_told() {
    let bed = Bed::at_rest(Some("t-1"));
    let first = bed.credential.ticket().await.unwrap();
    assert!(bed.credential.instead_of(&first).await.is_none());
    assert_eq!(*bed.told.lock(), [Renewal::Renewed, Renewal::Unchanged]);
    let bed = Bed::at_rest(None);
    assert_eq!(bed.line().await, MISSING);
    assert_eq!(*bed.told.lock(), [Renewal::Failed]);
}

#[tokio::test]
async fn without_a_credential_a_request_waits_once_and_then_not_at_all() {
    let bed = Bed::at_rest(None);
    assert_eq!(bed.line().await, MISSING);
    assert_eq!(bed.line().await, MISSING);
    assert_eq!(bed.n_renewals(), 1);
}

#[tokio::test]
async fn a_credential_that_comes_late_is_found() {
    let bed = Bed::start(None);
    assert_eq!(bed.line().await, MISSING);
    bed.write("t-1");
    bed.renewed(bed.n_renewals() + 2).await;
    assert_eq!(bed.line().await, "authorization: Bearer t-1\r\n");
}

#[tokio::test]
async fn what_was_refused_is_renewed_at_once_and_not_again_for_a_while() {
    let bed = Bed::at_rest(Some("t-1"));
    let first = bed.credential.ticket().await.unwrap();
    bed.write("t-2");
    let second = bed.credential.instead_of(&first).await.unwrap();
    assert_eq!(line(&second), "authorization: Bearer t-2\r\n");
    bed.write("t-3");
    assert!(bed.credential.instead_of(&second).await.is_none());
    assert_eq!(bed.n_renewals(), 2);
    let other = bed.credential.instead_of(&first).await.unwrap();
    assert_eq!(line(&other), line(&second), "what is there already is used");
}

#[tokio::test]
async fn all_who_were_refused_wait_for_one_renewal() {
    let bed = Bed::at_rest(Some("t-1"));
    let first = bed.credential.ticket().await.unwrap();
    bed.write("t-2");
    let all = (0..50).map(|_| bed.credential.instead_of(&first));
    let others = futures_util::future::join_all(all).await;
    let lines: Vec<_> = others
        .into_iter()
        .map(|other| line(&other.unwrap()))
        .collect();
    assert_eq!(lines, vec!["authorization: Bearer t-2\r\n"; 50]);
    assert_eq!(bed.n_renewals(), 2);
}

#[test]
fn a_token_is_used_no_more_shortly_before_its_end() {
    for (lifetime, used) in [(10, 9), (100, 95)] {
        let before = Instant::now();
        let ticket = Ticket::new("t".to_owned(), Some(Duration::from_secs(lifetime)), &[]);
        let ends = ticket.ends.unwrap();
        assert!(ends >= before + Duration::from_secs(used));
        assert!(ends <= Instant::now() + Duration::from_secs(used));
    }
    let over = Ticket::new("t".to_owned(), Some(Duration::ZERO), &[]);
    assert!(!over.is_good());
}

#[tokio::test]
async fn a_fixed_credential_has_nothing_instead() {
    let credential = Credential::fixed("s".into(), "t-1".to_owned(), Vec::new());
    let ticket = credential.ticket().await.unwrap();
    assert!(credential.instead_of(&ticket).await.is_none());
}

#[test]
fn debug_shows_no_secret() {
    let others = vec!["other-secret".to_owned()];
    let credential = Credential::fixed("s".into(), "first-secret".to_owned(), others);
    let fetched = Fetched {
        token: Token("second-secret".to_owned()),
        next: Duration::ZERO,
        lifetime: None,
    };
    let shown = format!("{credential:?} {fetched:?}");
    assert!(!shown.contains("secret"), "{shown}");
}
