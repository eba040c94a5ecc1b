import type { Actor } from './actors.ts';

/** Where the parts of one boundary and direction arrive at a block. */
export interface Inlet {
  actor: Actor;
  /** Parts that make one whole. */
  parts: number;
  /** Place of its first item among all. */
  first: number;
}

/** What has been sent and what is here, for all inlets of a rehearsal; items are micro-batches, counted on through the steps. */
export class Arrivals {
  #places = 0;
  /** Parts sent, when the last of them arrives, and whether all are here. */
  #sent = new Uint16Array();
  #lastMs = new Float64Array();
  #isHere = new Uint8Array();

  constructor(private readonly items: number) {}

  inlet(actor: Actor): Inlet {
    const first = this.#places;
    this.#places += this.items;
    return { actor, parts: 0, first };
  }

  /** After the last inlet. */
  open(): void {
    this.#sent = new Uint16Array(this.#places);
    this.#lastMs = new Float64Array(this.#places);
    this.#isHere = new Uint8Array(this.#places);
  }

  /** A part is on its way. When all of them will be here, once all are; null before. */
  send({ parts, first }: Inlet, item: number, arrivalMs: number): number | null {
    const place = first + item;
    this.#lastMs[place] = Math.max(this.#lastMs[place], arrivalMs);
    return ++this.#sent[place] === parts ? this.#lastMs[place] : null;
  }

  arrive({ first }: Inlet, item: number): void {
    this.#isHere[first + item] = 1;
  }

  isHere({ first }: Inlet, item: number): boolean {
    return this.#isHere[first + item] === 1;
  }
}
