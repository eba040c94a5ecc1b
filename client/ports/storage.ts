/** Bytes kept on this device between visits (IndexedDB in browsers, a map in the simulation). */
export interface Storage {
  get(key: string): Promise<Uint8Array | undefined>;
  /** Best effort: a full disk is no error, the value is just not found later. */
  set(key: string, bytes: Uint8Array): Promise<void>;
}

/** Where data sets come from before the room has them: byte ranges of the files the server serves. */
export interface Origin {
  /** Bytes [start, end) of `file` (such as `mnist/train-images`). Rejects with a message for people. */
  read(file: string, start: number, end: number): Promise<Uint8Array>;
}
