//! Both ends of the agent channel: the protocol, the host's client and the agent.
