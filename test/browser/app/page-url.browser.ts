import { expect } from '@open-wc/testing';
import { delayOf, readInvitation, readPageUrl } from '../../../client/app/page-url.ts';

const SECRET = 'abcdefghijklmnopqrstuv';
const read = (query: string) => readPageUrl(`http://here:8080/r/ACDEFG${query}#${SECRET}`);

describe('the address of the page', () => {
  it('is the landing page without a room', () => {
    expect(readPageUrl('http://here/')).to.deep.equal({ visit: null, problem: null });
  });

  it('names a room and its secret', () => {
    const { visit, problem } = read('');
    expect(problem).to.equal(null);
    expect(visit).to.deep.equal({
      code: 'ACDEFG',
      secret: SECRET,
      name: null,
      emulatedMs: null,
      memoryBytes: null,
      delay: null,
      onCpu: false,
      auto: false,
    });
  });

  it('takes the parameters of experiments', () => {
    const { visit } = read(
      '?name=peer%201&device-ms=200.5&memory-mb=32.5&delay=peer%202:80,a:b:10&compute=cpu&auto=1',
    );
    expect(visit).to.include({
      name: 'peer 1',
      emulatedMs: 200.5,
      memoryBytes: 32.5e6,
      onCpu: true,
      auto: true,
    });
    const delay = delayOf(visit!.delay!);
    expect(['peer 2', 'a:b', 'other'].map(delay)).to.deep.equal([80, 10, 0]);
    expect(delayOf(read('?delay=30').visit!.delay!)('anybody')).to.equal(30);
  });

  for (const [query, part] of [
    ['?device-ms=fast', 'device-ms=fast'],
    ['?device-ms=0', 'device-ms=0'],
    ['?device-ms=-1', 'device-ms=-1'],
    ['?device-ms=1e99', 'device-ms'],
    ['?device-ms=', 'device-ms'],
    ['?memory-mb=0', 'memory-mb=0'],
    ['?memory-mb=much', 'memory-mb=much'],
    ['?memory-mb=1e3', 'memory-mb=1e3'],
    ['?memory-mb=', 'memory-mb='],
    ['?delay=peer', 'delay=peer'],
    ['?delay=a:1,a:2', 'delay=a:1,a:2'],
    ['?delay=a:x', 'delay=a:x'],
    ['?delay=', 'delay='],
    ['?compute=gpu', 'compute=gpu'],
    ['?auto=yes', 'auto=yes'],
    ['?name=', 'empty'],
    [`?name=${'x'.repeat(41)}`, 'longer than 40'],
  ]) {
    it(`refuses ${query.slice(0, 30)} with a reason`, () => {
      const { visit, problem } = read(query);
      expect(visit).to.equal(null);
      expect(problem).to.contain(part);
    });
  }

  it('refuses a damaged room or secret', () => {
    expect(readPageUrl('http://here/r/OOOOOO#x').problem).to.contain('not a room code');
    expect(readPageUrl('http://here/r/ACDEFG#short').problem).to.contain('damaged');
  });
});

describe('an invitation', () => {
  for (const text of ['ACDEFG', ' acd-efg ']) {
    it(`is the code "${text}"`, () => {
      expect(readInvitation(text)).to.deep.equal({ code: 'ACDEFG', secret: null });
    });
  }
  for (const start of ['http://192.168.1.7:8080', '192.168.1.7:8080', '']) {
    it(`is a link that begins with "${start}"`, () => {
      expect(readInvitation(`${start}/r/ACDEFG#${SECRET}`)).to.deep.equal({ code: 'ACDEFG', secret: SECRET });
    });
  }
  for (const text of [
    '',
    'hello',
    'O0O0O0',
    'http://',
    'http://here/',
    'http://here/r/ACDEFG#bad',
    'http://a b/',
  ]) {
    it(`is not "${text}"`, () => {
      expect(() => readInvitation(text)).to.throw(/[.]$/);
    });
  }
});
