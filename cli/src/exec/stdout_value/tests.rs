use super::*;

fn complete(bytes: impl AsRef<[u8]>) -> CapturedOutput {
    let kept = bytes.as_ref().to_vec();
    CapturedOutput {
        total_bytes: kept.len() as u64,
        kept,
        was_forwarded: true,
    }
}

#[test]
fn every_output_is_replayed_byte_for_byte() {
    let outputs: &[&[u8]] = &[
        b"",
        b"\n",
        b"plain text",
        b"text\n",
        b"{\"id\":7}\n",
        b"{\"id\":7}",
        b"{ \"id\": 7 }\n",
        b"{\"b\":1,\"a\":2}\n",
        b"[1,2]\n",
        b"[1, 2]\n",
        b"7\n",
        b"7",
        b"1.0\n",
        b"null\n",
        b"true",
        b"\"quoted\"\n",
        b"\"quoted\"",
        b"{\"a\":1,\"a\":2}\n",
        b"{\"$stdout\":\"x\"}\n",
        b"{\"$stdout\":{\"base64\":\"AA==\"}}\n",
        b"9007199254740993\n",
        b"1e400\n",
        b"1e+400\n",
        b"[1.10,1.100000000000000001]\n",
        b"{\"id\":18446744073709551617}\n",
        b"\xff\xfe\x00",
        b"12345678901234567890123\n",
        b"{}\n",
        b"\xef\xbb\xbf{}\n",
        "{\"é\":\"\\u00e9\"}\r\n".as_bytes(),
    ];
    for output in outputs {
        let value = encode(&complete(output));
        let kept = serde_json::from_str(&value.to_string()).unwrap_or(JsonValue::Null);
        assert_eq!(
            decode(&kept),
            DecodedStdout::complete(*output),
            "{} as {value}",
            String::from_utf8_lossy(output)
        );
    }
}

#[test]
fn json_is_recorded_as_json_that_a_policy_can_point_into() {
    assert_eq!(encode(&complete("{\"id\":7}\n")), json!({ "id": 7 }));
    assert_eq!(
        encode(&complete("{ \"id\": 7 }")),
        json!({ "id": 7, "$stdout": "{ \"id\": 7 }" })
    );
    assert_eq!(encode(&complete("[1,2]\n")), json!([1, 2]));
    assert_eq!(encode(&complete("[1, 2]\n")), json!("[1, 2]\n"));
}

#[test]
fn an_answer_in_json_leaves_the_original_text_out_and_nothing_else() {
    let mut laid_out = json!({ "id": 7, "$stdout": "{ \"id\": 7 }" }).into();
    remove_original_text(&mut laid_out);
    assert_eq!(laid_out, json!({ "id": 7 }));
    let mut bytes = json!({ "$stdout": { "base64": "AA==" } }).into();
    remove_original_text(&mut bytes);
    assert_eq!(bytes, json!({ "$stdout": { "base64": "AA==" } }));
}

#[test]
fn too_much_output_is_cut_and_marked_as_cut() {
    for kept in [b"begin".as_slice(), b"\xff\xfe"] {
        let cut = CapturedOutput {
            kept: kept.to_vec(),
            total_bytes: 1_000_000,
            was_forwarded: true,
        };
        assert_eq!(
            decode(&encode(&cut)),
            DecodedStdout {
                bytes: kept.to_vec(),
                is_complete: false
            }
        );
    }
}

#[test]
fn control_characters_do_not_make_an_outcome_too_large() {
    let output = vec![1; STDOUT_BYTES_MAX];
    let value = encode(&complete(&output));
    assert!(value.to_string().len() < VALUE_BYTES_MAX);
    assert_eq!(decode(&value).bytes, output);
}
