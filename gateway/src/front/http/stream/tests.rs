#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use std::future::poll_fn;

fn event(number: u64) -> Message {
    Message::notification("n", &number.to_string())
}

async fn next(reader: &mut StreamReader) -> Option<u64> {
    poll_fn(|cx| reader.poll_next(cx))
        .await
        .map(|message| message.number)
}

#[tokio::test]
async fn who_comes_back_reads_on_where_it_was_cut_at_every_event() {
    for cut in 0..5 {
        let stream = MessageStream::for_requests(1, vec![RequestId::Number(1)]);
        stream.keep_messages();
        let mut reader = stream.start_reading(None).unwrap();
        for number in 1..=4 {
            stream.send(event(number)).await.unwrap();
        }
        for number in 1..=cut {
            assert_eq!(next(&mut reader).await, Some(number));
        }
        drop(reader);
        stream
            .send(Message::response(
                Some(&RequestId::Number(1)),
                "result",
                "{}",
            ))
            .await
            .unwrap();
        let mut again = stream.start_reading(Some(cut)).unwrap();
        for number in cut + 1..=5 {
            assert_eq!(next(&mut again).await, Some(number), "cut after {cut}");
        }
        assert_eq!(next(&mut again).await, None);
    }
}

#[tokio::test]
async fn who_goes_away_from_a_stream_that_is_not_kept_gets_nothing() {
    let stream = MessageStream::for_requests(1, vec![RequestId::Number(1)]);
    drop(stream.start_reading(None).unwrap());
    assert_eq!(stream.send(event(1)).await, Err(Disconnected));
}

#[tokio::test]
async fn what_was_not_written_does_not_count_as_delivered() {
    let stream = MessageStream::for_requests(1, vec![RequestId::Number(1)]);
    stream.keep_messages();
    let reader = stream.start_reading(None).unwrap();
    let delivered = tokio::spawn({
        let stream = Arc::clone(&stream);
        async move {
            stream
                .send_and_confirm(Message::response(
                    Some(&RequestId::Number(1)),
                    "result",
                    "{}",
                ))
                .await
        }
    });
    while !stream.has_ended() {
        tokio::task::yield_now().await;
    }
    drop(reader);
    assert_eq!(delivered.await.unwrap(), Err(Disconnected));
    assert_eq!(
        next(&mut stream.start_reading(Some(0)).unwrap()).await,
        Some(1),
        "but it can be read again"
    );
}

#[tokio::test]
async fn a_response_that_nobody_waits_for_is_dropped_and_the_stream_ends_with_the_last_one() {
    let stream = MessageStream::for_requests(1, vec![RequestId::Number(1), RequestId::Number(2)]);
    let mut reader = stream.start_reading(None).unwrap();
    for id in [7, 2, 2, 1] {
        stream
            .send(Message::response(
                Some(&RequestId::Number(id)),
                "result",
                "{}",
            ))
            .await
            .unwrap();
    }
    assert_eq!(
        (
            next(&mut reader).await,
            next(&mut reader).await,
            next(&mut reader).await
        ),
        (Some(1), Some(2), None)
    );
}

#[tokio::test]
async fn a_new_reader_takes_the_place_of_the_one_before() {
    let stream = MessageStream::for_session(0);
    let mut first = stream.start_reading(None).unwrap();
    let mut second = stream.start_reading(None).unwrap();
    stream.send(event(1)).await.unwrap();
    assert_eq!(
        (next(&mut first).await, next(&mut second).await),
        (None, Some(1))
    );
    drop(first);
    assert!(stream.has_reader());
}

#[tokio::test]
async fn a_stream_that_is_not_read_is_cut_and_one_that_is_kept_forgets_the_oldest() {
    let unread = MessageStream::for_requests(1, vec![RequestId::Number(1)]);
    let reader = unread.start_reading(None).unwrap();
    for number in 0..UNREAD_MAX as u64 {
        unread.send(event(number)).await.unwrap();
    }
    assert_eq!(unread.send(event(0)).await, Err(Disconnected));
    assert!(unread.has_ended());
    drop(reader);

    let kept = MessageStream::for_session(0);
    for number in 0..KEPT_MAX as u64 + 10 {
        kept.send(event(number)).await.unwrap();
    }
    assert!(
        kept.start_reading(Some(5)).is_none(),
        "what would come next is forgotten"
    );
    assert_eq!(
        next(&mut kept.start_reading(Some(10)).unwrap()).await,
        Some(11)
    );
}
