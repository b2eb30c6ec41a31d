//! When the vantage itself is at fault.

use super::*;

#[test]
fn if_no_node_answers_the_vantage_is_at_fault() {
    use HealthState::{Dead, Unknown};
    use Outcome::{Blocked, ConnectTimeout, DnsFailed, LocalFailed};
    let states = |outcomes: &[Outcome]| {
        let answers: Vec<_> = outcomes.iter().map(|outcome| nothing(*outcome)).collect();
        let round_health = round(&answers, USUAL);
        for health in &round_health.nodes {
            assert_eq!(health.up.is_none(), health.state == Unknown, "{health:?}");
        }
        (round_health.nodes.iter().map(|health| health.state).collect::<Vec<_>>(), vantage(answers.iter()))
    };
    let all = [ConnectTimeout, DnsFailed, LocalFailed];
    assert_eq!(states(&all), (vec![Unknown; 3], Some(false)));
    assert_eq!(states(&all[..2]), (vec![Dead; 2], None), "two nodes may both be dead");
    let with_blocked = [ConnectTimeout, Blocked, DnsFailed];
    assert_eq!(
        states(&with_blocked),
        (vec![Dead, HealthState::Blocked, Dead], None),
        "who was not asked does not count"
    );
    let with_blocked = [ConnectTimeout, Blocked, DnsFailed, DnsFailed];
    assert_eq!(states(&with_blocked), (vec![Unknown, HealthState::Blocked, Unknown, Unknown], Some(false)));
    assert_eq!(states(&[LocalFailed]), (vec![Unknown], Some(false)), "our own fault is known for what it is");
    assert_eq!(states(&[Blocked; 4]), (vec![HealthState::Blocked; 4], None), "no node was asked");
    assert_eq!(round(&[], USUAL), RoundHealth { nodes: vec![], chain_head: None });
    assert_eq!(vantage([].iter()), None);

    let reason = &round(&vec![nothing(ConnectTimeout); 9], USUAL).nodes[0].reason;
    assert_eq!(reason, "none of 9 nodes answered: this vantage itself is most likely at fault");
}

#[test]
fn a_freeze_of_this_process_judges_no_node() {
    let frozen = || answer(None, AnswerContent::Frozen(Micros(30_000_000)));
    let reason = "not judged: bandprobe itself did not run for 30.0 s";
    let health = judged(&frozen(), USUAL);
    assert_eq!((health.state, health.up, &*health.reason), (HealthState::Unknown, None, reason));
    let all = vec![frozen(); 5];
    assert_eq!(vantage(all.iter()), None, "it says nothing of our network");
    let nodes = round(&all, USUAL).nodes;
    assert!(nodes.iter().all(|health| health.state == HealthState::Unknown && health.reason == reason));
    let [refused, failed] = [Outcome::ConnectRefused, Outcome::LocalFailed].map(nothing);
    let two = [refused.clone(), refused, frozen()];
    assert_eq!(vantage(two.iter()), None, "two nodes may both be dead");
    assert_eq!(round(&two, USUAL).nodes[0].state, HealthState::Dead);
    assert_eq!(vantage([failed, frozen()].iter()), Some(false));
}

#[test]
fn one_answer_clears_the_vantage() {
    for alive in [healthy(), other(502, OtherContent::Unknown)] {
        let mut answers = vec![nothing(Outcome::ConnectTimeout); 5];
        answers.push(alive);
        let round_health = round(&answers, USUAL);
        assert_eq!(vantage(answers.iter()), Some(true));
        assert!(round_health.nodes[..5].iter().all(|health| health.state == HealthState::Dead));
    }
}
