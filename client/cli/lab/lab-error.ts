/** The lab could not be built; the message says why and what to do. */
export class LabError extends Error {}
