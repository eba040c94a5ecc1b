import * as v from 'valibot';

/** Numbers that came from outside: finite, in a stated range. */
export const whole = (min: number, max: number) =>
  v.pipe(v.number(), v.safeInteger(), v.minValue(min), v.maxValue(max));
export const real = (min: number, max: number) =>
  v.pipe(v.number(), v.finite(), v.minValue(min), v.maxValue(max));
export const text = (maxChars: number) => v.pipe(v.string(), v.maxLength(maxChars));
export const name = (maxChars: number) => v.pipe(v.string(), v.minLength(1), v.maxLength(maxChars));

/** The first complaint of a failed check as one line: `path: what is wrong`. */
export function complaint(issues: readonly v.BaseIssue<unknown>[]): string {
  const [issue] = issues;
  const path = v.getDotPath(issue);
  return path === null ? issue.message : `${path}: ${issue.message}`;
}
