//! The example of the README does what the README says.

use crate::workshop::Workshop;

const README: &str = include_str!("../../../README.md");

#[test]
fn the_example_of_the_readme_refunds_once() {
    let (_, after) = README.split_once("```toml\n").expect("a configuration");
    let (config, _) = after.split_once("```").expect("its end");
    let shop = Workshop::new("");
    shop.write("semel.toml", config);
    let refund = |args| {
        shop.exec(
            "refund",
            args,
            "echo x >> effects; echo \"refunded $SEMEL_KEY\"",
        )
    };
    let first = refund(r#"{"order_id": "A-7", "amount": "10.00"}"#);
    assert_eq!(first.exit, 0, "{first:?}");
    refund(r#"{"order_id": "A-7", "amount": 10}"#).assert_stdout(0, &first.stdout);
    refund(r#"{"order_id": "A-7", "amount": 11}"#).assert_message(73, "conflict");
    assert_eq!(shop.effects(), 1);
}
