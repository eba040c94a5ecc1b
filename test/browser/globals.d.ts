/** mocha's globals, as far as the browser tests use them. */
interface MochaContext {
  timeout(ms: number): void;
  skip(): never;
}
type MochaBody = (this: MochaContext) => void | Promise<void>;
declare function describe(name: string, body: (this: MochaContext) => void): void;
declare function it(name: string, body: MochaBody): void;
declare function before(body: MochaBody): void;
declare function after(body: MochaBody): void;
declare function beforeEach(body: MochaBody): void;
declare function afterEach(body: MochaBody): void;
