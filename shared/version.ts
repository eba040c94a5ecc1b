/** Version of the wire: signals, control messages, frames and plans. Peers of another version are refused with a reason. */
export const PROTOCOL_VERSION = 13;
/** Version of the report that the swarm command writes. */
export const REPORT_VERSION = 7;
