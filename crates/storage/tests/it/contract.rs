use object_store_storage::Memory;
use object_store_storage::contract::{Capabilities, Capability, Outcome, rules, run_all};

#[tokio::test]
async fn memory_holds_every_rule() {
    let memory = Memory::new();
    memory.insert_foreign("contract/of-others", "text/plain", "stays");

    let outcomes = run_all(&memory, &memory, &Capabilities::ALL).await;

    let broken: Vec<_> = outcomes.iter().filter(|outcome| !matches!(outcome.outcome, Outcome::Held)).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!(outcomes.len(), rules().len());
    assert_eq!(memory.keys(), ["contract/of-others"], "the rules clean up after themselves, and nothing else");
}

#[tokio::test]
async fn a_rule_that_needs_more_than_the_server_has_is_skipped_visibly() {
    let memory = Memory::new();
    let without_forms = Capabilities::ALL.without(Capability::PostPolicy);
    for rule in rules() {
        if rule.name.contains("form") {
            let outcome = rule.run(&memory, &memory, &without_forms).await;
            assert!(matches!(outcome.outcome, Outcome::Skipped { .. }), "{outcome}");
            assert!(outcome.to_string().contains("the server lacks post_policy"), "{outcome}");
        }
    }
    assert_eq!(memory.calls().total(), 0);
}

#[test]
fn rules_have_different_names() {
    let mut names: Vec<_> = rules().iter().map(|rule| rule.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
