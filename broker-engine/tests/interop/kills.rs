//! A broker that is killed again and again under load: what was confirmed is there.

use crate::books::{Books, declare_queues, rounds, seed};
use crate::support::{Process, confirm_mode, connect};

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_under_load_loses_what_was_confirmed_or_brings_back_what_was_done_with() {
    let directory = tempfile::tempdir().unwrap();
    let mut books = Books::new(400);
    let mut random = fastrand::Rng::with_seed(seed(11));
    for round in 0..rounds(6) {
        let process = Process::start(directory.path());
        let connection = connect(process.address).await;
        let channel = connection.create_channel().await.unwrap();
        declare_queues(&channel).await;
        books.verify(&channel).await;
        confirm_mode(&channel).await;
        let bursts = random.usize(3..12);
        for _ in 0..bursts {
            let answers = books.publish(&channel, random.usize(50..300)).await;
            assert!(answers.is_there);
            assert_eq!(answers.refused, [0; 0]);
            // Every round reads all of them.
            let most = if books.held() < 4000 { 60 } else { 600 };
            assert!(books.take(&channel, random.u64(0..most)).await.is_some());
        }
        let blow = random.usize(1..400);
        let mut process = Some(process);
        let answers = books.publish_under(&channel, 400, |sent| {
            if sent == blow {
                process = None;
            }
        });
        assert!(!answers.await.is_there, "the process was killed");
        if round % 10 == 9 {
            println!("round {}: {} messages held", round + 1, books.held());
        }
    }
    let process = Process::start(directory.path());
    let connection = connect(process.address).await;
    let channel = connection.create_channel().await.unwrap();
    books.verify(&channel).await;
    assert!(books.sent() > 1000, "there was no load");
}
