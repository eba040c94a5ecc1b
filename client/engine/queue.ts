/** Serves jobs one at a time in the order they came; a failing one does not stop the next. */
export class Queue {
  private tail: Promise<unknown> = Promise.resolve();

  add<T>(job: () => T | Promise<T>): Promise<T> {
    const result = this.tail.then(job);
    this.tail = result.catch(() => undefined);
    return result;
  }
}
