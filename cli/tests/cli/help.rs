//! What `--help` says.

use crate::workshop::Workshop;

fn help(words: &[&str]) -> String {
    let done = Workshop::new("").run(&[words, &["--help"]].concat());
    assert_eq!((done.exit, done.stderr.as_str()), (0, ""));
    done.stdout
}

macro_rules! help_of {
    ($($name:ident: $($word:literal)*;)*) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!(help(&[$($word),*]));
        })*
    };
}

help_of! {
    semel: ;
    exec: "exec";
    ledger: "ledger";
    ledger_list: "ledger" "list";
    ledger_decide: "ledger" "decide";
    ledger_erase: "ledger" "erase";
    ledger_report: "ledger" "report";
    policy_inspect: "policy" "inspect";
    config: "config";
    doctor: "doctor";
    mcp: "mcp";
    mcp_install: "mcp" "install";
}
