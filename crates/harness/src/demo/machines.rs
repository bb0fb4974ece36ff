//! What a computer says of itself: where its work stands, and what makes it itself.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::prompt::Prompt;
use crate::error::HarnessError;
use crate::wait::until;

/// P8's half second.
const MOST_SKEW_MS: u64 = 500;
/// How long work may take to move on.
const MOVES: Duration = Duration::from_secs(60);

/// Asks for everything at once. A counter or diary with a gap has no number.
const QUESTION: &str = "\
last() { awk '$1 != NR { exit 1 } END { if (NR) print NR }' $1; }
echo counter=$(last /run/counter)
echo diary=$(last /home/node/workspace/diary)
echo at_snapshot=$(cat /run/at-snapshot 2>/dev/null)
echo hostname=$(cat /proc/sys/kernel/hostname)
echo machine_id=$(cat /etc/machine-id)
echo host_key=$(cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub)
echo random=$(od -An -N16 -tx1 /dev/urandom | tr -d ' ')
echo clock=$(date +%s%3N)
";

/// A computer as it described itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    /// Its name.
    pub(super) name: &'static str,
    /// The last number of the counter, which has no gap.
    pub(super) counter: u64,
    /// The last line of the file, which has no gap.
    pub(super) diary: u64,
    /// Counter and file at the instant of the snapshot, in a clone.
    pub(super) at_snapshot: Option<(u64, u64)>,
    hostname: String,
    machine_id: String,
    host_key: String,
    random: String,
    /// How far its clock is from this host's, beyond what asking takes.
    skew_ms: u64,
}

/// Asks a computer.
pub(super) async fn describe(
    prompt: &Prompt,
    name: &'static str,
) -> Result<Described, HarnessError> {
    let before = Timestamp::now().as_millisecond();
    let command = ["exec", "--user", "root", "--no-stdin", name, "--", "sh", "-c", QUESTION];
    let answer = prompt.quietly(&command, b"").await?;
    let after = Timestamp::now().as_millisecond();
    Described::read(name, &answer.text, (before, after))
}

/// Waits until the work has begun.
pub(super) async fn working(
    prompt: &Prompt,
    name: &'static str,
) -> Result<Described, HarnessError> {
    until(&format!("work in {name}"), MOVES, async || describe(prompt, name).await.ok()).await
}

/// Waits until both counter and diary are beyond what they were.
pub(super) async fn moved_on(
    prompt: &Prompt,
    earlier: &Described,
) -> Result<Described, HarnessError> {
    until(&format!("work going on in {}", earlier.name), MOVES, async || {
        let now = describe(prompt, earlier.name).await.ok()?;
        (now.counter > earlier.counter && now.diary > earlier.diary).then_some(now)
    })
    .await
}

impl Described {
    fn read(
        name: &'static str,
        text: &str,
        (before, after): (i64, i64),
    ) -> Result<Self, HarnessError> {
        let said: BTreeMap<&str, &str> =
            text.lines().filter_map(|line| line.split_once('=')).collect();
        let word = |key: &str| match said.get(key) {
            Some(word) if !word.is_empty() => Ok((*word).to_owned()),
            _ => Err(HarnessError::value(format!("{key} of {name}"), format!("not in: {text}"))),
        };
        let number = |word: String| {
            word.parse::<u64>().map_err(|_| HarnessError::value(name, format!("no number: {word}")))
        };
        let clock = i64::try_from(number(word("clock")?)?)
            .map_err(|error| HarnessError::value(format!("the clock of {name}"), error))?;
        let at_snapshot = match said.get("at_snapshot").and_then(|both| both.split_once(' ')) {
            Some((counter, diary)) => {
                Some((number(counter.to_owned())?, number(diary.to_owned())?))
            }
            None => None,
        };
        Ok(Self {
            name,
            counter: number(word("counter")?)?,
            diary: number(word("diary")?)?,
            at_snapshot,
            hostname: word("hostname")?,
            machine_id: word("machine_id")?,
            host_key: word("host_key")?,
            random: word("random")?,
            skew_ms: (before - clock).max(clock - after).max(0).unsigned_abs(),
        })
    }
}

/// Shows the computers side by side, and checks that none is another's twin.
pub(super) fn compare(machines: &[&Described]) -> Result<(), HarnessError> {
    let row = |title: &str, cell: &dyn Fn(&Described) -> String| {
        let cells: String = machines.iter().map(|one| format!("  {:<32}", cell(one))).collect();
        println!("  {title:<12}{}", cells.trim_end());
    };
    row("", &|one| one.name.to_owned());
    row("counter", &|one| one.counter.to_string());
    row("file", &|one| one.diary.to_string());
    row("hostname", &|one| one.hostname.clone());
    row("machine-id", &|one| one.machine_id.clone());
    row("SSH host key", &|one| tail(&one.host_key, 32).to_owned());
    row("/dev/urandom", &|one| one.random.clone());
    row("clock", &|one| format!("within {} ms", one.skew_ms));

    let traits: [(&str, Trait); 4] = [
        ("hostname", |one| &one.hostname),
        ("machine-id", |one| &one.machine_id),
        ("SSH host key", |one| &one.host_key),
        ("/dev/urandom", |one| &one.random),
    ];
    for (title, of) in traits {
        let different: HashSet<&str> = machines.iter().map(|one| of(one)).collect();
        if different.len() != machines.len() {
            return Err(HarnessError::value(title, "two computers have the same"));
        }
    }
    match machines.iter().find(|one| one.skew_ms > MOST_SKEW_MS) {
        Some(one) => Err(HarnessError::value(
            format!("the clock of {}", one.name),
            format!("{} ms from this host's", one.skew_ms),
        )),
        None => Ok(()),
    }
}

/// Something that no two computers may have in common.
type Trait = fn(&Described) -> &str;

fn tail(text: &str, length: usize) -> &str {
    text.get(text.len().saturating_sub(length)..).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "counter=7\ndiary=6\nat_snapshot=5 4\nhostname=h\nmachine_id=m\nhost_key=k==\nrandom=ff\nclock=1000\n";

    #[test]
    fn an_answer_is_read_with_its_clock_compared_to_when_it_was_asked() {
        let described = Described::read("box", TEXT, (900, 1100)).unwrap();
        assert_eq!((described.counter, described.diary), (7, 6));
        assert_eq!(described.at_snapshot, Some((5, 4)));
        assert_eq!((described.host_key.as_str(), described.skew_ms), ("k==", 0));
        assert_eq!(Described::read("box", TEXT, (1300, 1400)).unwrap().skew_ms, 300);
    }

    #[test]
    fn a_counter_with_a_gap_is_no_answer() {
        Described::read("box", &TEXT.replace("counter=7", "counter="), (0, 0)).unwrap_err();
    }

    #[test]
    fn promise_p8_twins_and_wrong_clocks_are_told() {
        let one = Described::read("box", TEXT, (1000, 1000)).unwrap();
        compare(&[&one, &one]).unwrap_err();
        let own = |text: &str| text.to_owned();
        let other = Described {
            hostname: own("h2"),
            machine_id: own("m2"),
            host_key: own("k2"),
            random: own("fe"),
            ..one.clone()
        };
        compare(&[&one, &other]).unwrap();
        compare(&[&one, &Described { skew_ms: 501, ..other }]).unwrap_err();
    }
}
