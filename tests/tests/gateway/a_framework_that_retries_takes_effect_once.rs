//! The model called the tool once, and a second payment was made. Its framework got no answer and
//! called again, as its documentation says. These are the frameworks themselves, with a script in
//! place of the model.

use crate::{
    peers,
    session::{Route, Scene},
};
use std::process::Command;

/// Lets the framework pay once, and returns the number of payments and the answer that it got.
fn pays(framework: &str, fault: &str, way: Route) -> (usize, String) {
    let scene = Scene::with(fault);
    let server = scene.command(way);
    let mut agent = Command::new("timeout");
    agent
        .arg("60")
        .arg(peers::agents_python())
        .arg(peers::script("retrying.py"))
        .arg(framework);
    agent
        .arg(server.get_program())
        .args(server.get_args())
        .env("OPENAI_API_KEY", "none");
    peers::surround(&mut agent, scene.folder());
    let output = agent.output().unwrap();
    let (told, talk) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{framework} {fault}: {talk}");
    (scene.effects(), told.into_owned())
}

fn takes_effect_once(framework: &str, fault: &str) -> String {
    let (effects, told) = pays(framework, fault, Route::Bare);
    assert_eq!(effects, 2, "the control: {framework} {fault}: {told}");
    let (effects, told) = pays(framework, fault, Route::Guarded);
    assert_eq!(effects, 1, "{framework} {fault}: {told}");
    told
}

#[test]
fn tool_retry_middleware_of_langchain() {
    let told = takes_effect_once("langchain", "dies");
    assert!(told.contains("may have taken effect"), "{told}");
}

#[test]
fn max_retry_attempts_of_the_agents_sdk() {
    let told = takes_effect_once("openai", "late=1500");
    assert!(told.contains("effect 1"), "{told}");
}
