import type { PeerId } from '../../../shared/ids.ts';
import { LIMITS } from '../../../shared/limits.ts';
import type { Term } from '../../../shared/schema/plan.ts';
import type { Clock } from '../../ports/clock.ts';
import { centralities, rank, type LinkQuality } from './centrality.ts';

export interface ElectionView {
  /** Peers that are here, this one included. */
  alive: PeerId[];
  links: LinkQuality[];
  /** Every alive peer has measured its link to every other. */
  complete: boolean;
  /** A run goes on: the incumbent keeps the role as long as it lives. */
  running: boolean;
  /** False for peers that came after the run's plan was made: they cannot take a running room over. */
  mayLead(peer: PeerId): boolean;
  /** A peer that this one does not hear is heard by others. */
  heardByOthers(peer: PeerId): boolean;
  /** A run goes on, and most of those who take part in it are not heard: it is this peer that was cut off, rather than they. */
  cutOff: boolean;
}

/** Negative where `a` fences `b`: the higher counter, then the lower id. */
export function compareTerms(a: Term, b: Term): number {
  return b.counter - a.counter || (a.peer < b.peer ? -1 : a.peer > b.peer ? 1 : 0);
}

export const sameTerm = (a: Term | null, b: Term | null): boolean =>
  a !== null && b !== null && a.counter === b.counter && a.peer === b.peer;

/**
 * Elects the most central peer. Everybody ranks the room from the same gossiped table; only the winner claims a new term,
 * and should it not claim in time, the next in rank does. Of two claims the newer term wins everywhere (fencing).
 */
export class Election {
  #term: Term | null = null;
  #wantedSinceMs: number | null = null;

  constructor(
    private readonly self: PeerId,
    private readonly clock: Clock,
    private readonly view: () => ElectionView,
    /** This peer claims `term`: tell everybody. */
    private readonly onClaim: (term: Term, centrality: number) => void,
    /** The term changed, whoever holds it. */
    private readonly onTerm: (term: Term) => void,
  ) {}

  get term(): Term | null {
    return this.#term;
  }

  get isCoordinator(): boolean {
    return this.#term?.peer === this.self;
  }

  /** A term that somebody claims or knows of. False where it is older than ours: fenced. */
  learn(term: Term): boolean {
    if (sameTerm(this.#term, term)) return true;
    // A counter near its end would leave no higher one to claim.
    if (term.counter > (this.#term?.counter ?? 0) + LIMITS.election.counterJump) return false;
    if (this.#term && compareTerms(this.#term, term) < 0) return false;
    const view = this.view();
    const incumbentHere = this.#term !== null && view.alive.includes(this.#term.peer);
    if (view.running && incumbentHere && term.peer !== this.#term!.peer && !view.mayLead(term.peer)) {
      // A newcomer that was alone for a moment elected itself: the room's coordinator outbids it.
      if (this.isCoordinator) this.#claim(term.counter + 1);
      return false;
    }
    this.#adopt(term);
    return true;
  }

  /** Called at each heartbeat: claims the next term when it is this peer's turn. */
  consider(): void {
    const view = this.view();
    const turn = this.#turn(view);
    if (turn === null) {
      this.#wantedSinceMs = null;
      return;
    }
    this.#wantedSinceMs ??= this.clock.now();
    const waited = this.clock.now() - this.#wantedSinceMs;
    const patienceMs = view.cutOff ? LIMITS.liveness.awayMs : 0;
    if (waited < LIMITS.election.settleMs + turn * LIMITS.election.claimTimeoutMs + patienceMs) return;
    this.#claim((this.#term?.counter ?? 0) + 1);
  }

  /** How many peers come before this one in claiming a new term; null where no new term is due or this peer is not to claim it. */
  #turn(view: ElectionView): number | null {
    const centrality = centralities(view.alive, view.links);
    const ranked = rank(centrality);
    const incumbent = this.#term?.peer;
    if (incumbent === undefined || !view.alive.includes(incumbent)) {
      if (incumbent !== undefined && view.heardByOthers(incumbent)) return null;
      // Whoever has just come waits for the table; a table that stays incomplete (two peers cannot link) holds nobody up.
      return ranked.indexOf(this.self) + (view.complete ? 0 : 2);
    }
    if (incumbent === this.self || view.running || !view.complete || ranked[0] !== this.self) return null;
    const clearly = centrality.get(this.self)! > LIMITS.election.clearlyBetter * centrality.get(incumbent)!;
    return clearly ? 0 : null;
  }

  #claim(counter: number): void {
    const term: Term = { counter, peer: this.self };
    const { alive, links } = this.view();
    this.#hold(term);
    // Before the first orders of the new office: peers refuse orders of a term that they do not know yet.
    this.onClaim(term, centralities(alive, links).get(this.self) ?? 0);
    // An answer to the claim may have fenced it at once.
    if (this.#term === term) this.onTerm(term);
  }

  #adopt(term: Term): void {
    this.#hold(term);
    this.onTerm(term);
  }

  #hold(term: Term): void {
    this.#term = term;
    this.#wantedSinceMs = null;
  }
}
