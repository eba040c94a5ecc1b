/** The room did not do what it should; the message says what is known. */
export class RigError extends Error {}
