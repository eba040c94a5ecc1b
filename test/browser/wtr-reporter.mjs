import console from 'node:console';

/** Prints each test by name, the failures with their errors, and at the end `N passed, N failed`. */
export function counting() {
  let rootDir = '';
  return {
    start({ config }) {
      rootDir = config.rootDir;
    },
    reportTestFileResults({ sessionsForTestFile, testFile }) {
      console.log(`\n${nameOf(testFile, rootDir)}`);
      for (const session of sessionsForTestFile) {
        for (const test of testsOf(session)) console.log(`  ${markOf(test)} ${test.fullName}${time(test)}`);
        for (const error of session.errors) console.log(`  not ok ${error.message}`);
        for (const log of session.logs) console.log('  log:', ...log);
      }
    },
    onTestRunFinished({ sessions }) {
      const tests = sessions.flatMap(testsOf);
      const broken = sessions.filter(isBroken);
      for (const session of broken) {
        const reasons = session.errors.map((error) => error.message).join('; ') || 'no tests ran';
        console.log(`\nFAILED ${nameOf(session.testFile, rootDir)}\n  ${reasons}`);
        for (const url of session.request404s) console.log(`  not found: ${url}`);
      }
      const failed = tests.filter((test) => !test.passed && !test.skipped);
      for (const { file, fullName, error } of failed) {
        console.log(
          `\nFAILED ${nameOf(file, rootDir)}: ${fullName}\n  ${error?.message ?? 'no error given'}`,
        );
        if (error?.expected !== undefined)
          console.log(`  expected ${error.expected}, actual ${error.actual}`);
        if (error?.stack) console.log(error.stack.replaceAll(/^/gm, '  '));
      }
      const skipped = tests.filter((test) => test.skipped).length;
      const passed = tests.filter((test) => test.passed).length;
      console.log(
        `\n${passed} passed, ${failed.length + broken.length} failed${skipped ? `, ${skipped} skipped` : ''}`,
      );
    },
  };
}

/** A file that could not run, or in which nothing did: no test of it failed, yet it is no success. */
function isBroken(session) {
  return session.errors.length > 0 || (testsOf(session).length === 0 && !session.passed);
}

function testsOf(session) {
  const collect = (suite, prefix) => [
    ...suite.tests.map((test) => ({ ...test, file: session.testFile, fullName: prefix + test.name })),
    ...suite.suites.flatMap((inner) => collect(inner, `${prefix}${inner.name} > `)),
  ];
  return session.testResults ? collect(session.testResults, '') : [];
}

const nameOf = (file, rootDir) => file.replace(rootDir, '').replace(/^\//, '');
const markOf = (test) => (test.skipped ? 'skipped' : test.passed ? 'ok' : 'not ok');
const time = (test) => (test.duration === undefined ? '' : ` (${Math.round(test.duration)} ms)`);
