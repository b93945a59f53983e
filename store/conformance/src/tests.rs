//! The suite itself: each sentence of the contract has a case, and each case fails on a wrong store.

#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

mod faults;
mod mutants;
mod wrong_store;

use super::*;

/// Returns the numbered sentences of the contract, from the doc comment of the trait.
fn contract() -> Vec<String> {
    let source = include_str!("../../src/lib.rs");
    let (above, _) = source.split_once("pub trait Store").unwrap();
    let (_, contract) = above.rsplit_once("/// The contract.").unwrap();
    let lines = contract.lines().filter_map(|line| line.strip_prefix("///"));
    let text: String = lines
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n");
    let mut sentences = Vec::<String>::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match line.split_once(". ") {
            Some((number, words)) if number.trim().parse::<u8>().is_ok() => {
                sentences.push(words.to_owned());
            }
            _ => {
                if let Some(sentence) = sentences.last_mut() {
                    sentence.push(' ');
                    sentence.push_str(line.trim());
                }
            }
        }
    }
    sentences
}

#[test]
fn each_sentence_of_the_contract_is_that_of_a_case() {
    let of_cases: Vec<String> = CASES.iter().map(ConformanceCase::sentence).collect();
    let contract = contract();
    assert_eq!(contract.len(), 12, "{contract:#?}");
    for sentence in contract {
        assert!(of_cases.contains(&sentence), "no case says: {sentence}");
    }
}

#[test]
fn each_case_says_what_it_asks() {
    for case in CASES {
        let sentence = case.sentence();
        assert!(
            sentence.ends_with('.') && sentence.len() > 20,
            "{case:?}: {sentence}"
        );
    }
}
