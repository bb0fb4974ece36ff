//! Builds one table as one transaction that replaces whatever the table held before.

use nftables::{
    expr::Expression,
    schema::{
        Chain, NfCmd, NfListObject, NfObject, Nftables, Rule, Set, SetFlag, SetType, SetTypeValue,
        Table,
    },
    types::{NfChainPolicy, NfChainType, NfFamily, NfHook},
};

use super::{expression::Step, range::Ipv4Range};

/// Where in the path of a packet a chain is called.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hook {
    /// On arrival, before connections are tracked.
    Arrival,
    /// On arrival, where destinations are translated.
    TranslateDestination,
    /// For packets to this namespace itself.
    Input,
    /// For packets to this namespace itself, where their sources are translated.
    TranslateInput,
    /// For packets from one interface to another.
    Forward,
    /// For packets made here.
    Output,
    /// On departure, where sources are translated.
    TranslateSource,
}

impl Hook {
    /// Kind, hook and priority (the standard values of `nft(8)`).
    fn place(self) -> (NfChainType, NfHook, i32) {
        match self {
            Self::Arrival => (NfChainType::Filter, NfHook::Prerouting, -300),
            Self::TranslateDestination => (NfChainType::NAT, NfHook::Prerouting, -100),
            Self::Input => (NfChainType::Filter, NfHook::Input, 0),
            Self::TranslateInput => (NfChainType::NAT, NfHook::Input, 100),
            Self::Forward => (NfChainType::Filter, NfHook::Forward, 0),
            Self::Output => (NfChainType::Filter, NfHook::Output, 0),
            Self::TranslateSource => (NfChainType::NAT, NfHook::Postrouting, 100),
        }
    }
}

/// A table in the making. Family `inet`, so that IPv6 meets the same rules.
#[derive(Debug)]
pub(super) struct TableBuilder {
    name: String,
    objects: Vec<NfObject<'static>>,
}

impl TableBuilder {
    /// Begins with the table empty, whether or not it was there.
    pub(super) fn replace(name: impl Into<String>) -> Self {
        let mut builder = Self::absent(name);
        builder.add(NfListObject::Table(builder.table()));
        builder
    }

    /// The transaction that takes the table away, whether or not it was there.
    pub(super) fn remove(name: impl Into<String>) -> Nftables<'static> {
        Self::absent(name).finish()
    }

    /// Begins without the table. Deleting what is not there fails, so it is added first.
    fn absent(name: impl Into<String>) -> Self {
        let mut builder = Self { name: name.into(), objects: Vec::new() };
        builder.add(NfListObject::Table(builder.table()));
        let delete = NfCmd::Delete(NfListObject::Table(builder.table()));
        builder.objects.push(NfObject::CmdObject(delete));
        builder
    }

    /// Adds a chain that the kernel calls at `hook`; what no rule decides is left to `policy`.
    pub(super) fn base_chain(&mut self, name: &'static str, hook: Hook, policy: NfChainPolicy) {
        let (kind, hook, priority) = hook.place();
        let chain = Chain {
            _type: Some(kind),
            hook: Some(hook),
            prio: Some(priority),
            policy: Some(policy),
            ..self.empty_chain(name)
        };
        self.add(NfListObject::Chain(chain));
    }

    /// Adds a chain that rules go to.
    pub(super) fn chain(&mut self, name: &'static str) {
        self.add(NfListObject::Chain(self.empty_chain(name)));
    }

    /// Adds a named set of address ranges.
    pub(super) fn ranges(&mut self, name: &'static str, ranges: &[Ipv4Range]) {
        let elements: Vec<Expression<'static>> =
            ranges.iter().map(|range| super::expression::range(*range)).collect();
        let set = Set {
            family: NfFamily::INet,
            table: self.name.clone().into(),
            name: name.into(),
            set_type: SetTypeValue::Single(SetType::Ipv4Addr),
            flags: Some([SetFlag::Interval].into()),
            elem: Some(elements.into()),
            ..Set::default()
        };
        self.add(NfListObject::Set(Box::new(set)));
    }

    /// Adds a rule at the end of a chain.
    pub(super) fn rule(&mut self, chain: &'static str, steps: impl IntoIterator<Item = Step>) {
        let rule = Rule {
            family: NfFamily::INet,
            table: self.name.clone().into(),
            chain: chain.into(),
            expr: steps.into_iter().collect::<Vec<_>>().into(),
            ..Rule::default()
        };
        self.add(NfListObject::Rule(rule));
    }

    /// The whole transaction.
    pub(super) fn finish(self) -> Nftables<'static> {
        Nftables { objects: self.objects.into() }
    }

    fn add(&mut self, object: NfListObject<'static>) {
        self.objects.push(NfObject::CmdObject(NfCmd::Add(object)));
    }

    fn table(&self) -> Table<'static> {
        Table { family: NfFamily::INet, name: self.name.clone().into(), handle: None }
    }

    fn empty_chain(&self, name: &'static str) -> Chain<'static> {
        Chain {
            family: NfFamily::INet,
            table: self.name.clone().into(),
            name: name.into(),
            ..Chain::default()
        }
    }
}
