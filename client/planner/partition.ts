/** Cuts between layers: stage s takes layers [starts[s], starts[s + 1]). */
export interface Partition {
  starts: number[];
  /** Time of the slowest stage, in the unit of `costs`. */
  bottleneck: number;
}

/**
 * The cut of L layers into S stages, in order, that makes the slowest stage fastest; `costs[s][l]` is the time of layer l
 * on the device of stage s. Dynamic programming over A[s][j] = min over i of max(A[s-1][i], T_s(i..j)); O(S * L^2) at worst, and mostly as few
 * steps as a stage is long.
 * Every stage gets at least one layer, so S <= L. Ties keep later stages shorter.
 */
export function bestPartition(costs: readonly (readonly number[])[]): Partition {
  const stages = costs.length;
  const layers = costs[0].length;
  if (stages > layers) throw new Error(`${layers} layers cannot fill ${stages} stages.`);
  const prefix = costs.map((row) => prefixSums(row));
  const best = table(stages + 1, layers + 1, Infinity);
  const cut = table(stages + 1, layers + 1, 0);
  best[0][0] = 0;
  for (let s = 1; s <= stages; s++) {
    for (let j = s; j <= layers - (stages - s); j++) {
      for (let i = j - 1; i >= s - 1; i--) {
        const own = prefix[s - 1][j] - prefix[s - 1][i];
        // Stage s only grows from here.
        if (own >= best[s][j]) break;
        const time = Math.max(best[s - 1][i], own);
        if (time < best[s][j]) {
          best[s][j] = time;
          cut[s][j] = i;
        }
      }
    }
  }
  const starts = new Array<number>(stages).fill(0);
  for (let s = stages, j = layers; s > 0; s--) {
    j = cut[s][j];
    starts[s - 1] = j;
  }
  return { starts, bottleneck: best[stages][layers] };
}

function prefixSums(row: readonly number[]): number[] {
  const sums = [0];
  for (const cost of row) sums.push(sums[sums.length - 1] + cost);
  return sums;
}

function table(rows: number, columns: number, value: number): number[][] {
  return Array.from({ length: rows }, () => new Array<number>(columns).fill(value));
}
