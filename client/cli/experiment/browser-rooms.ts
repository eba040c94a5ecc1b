import { Belongings } from '../belongings.ts';
import { buildPage, removeDir } from '../page-build.ts';
import { SwarmRig } from '../rig.ts';
import { linkDelays, PEERS, type Settings } from './grid.ts';
import type { TrainingRoom } from './training-room.ts';

/** Rooms of pages in a real browser, on devices of one emulated speed. They share one build of the page. */
export class BrowserRooms {
  readonly #belongings = new Belongings();
  #pageDir: Promise<string> | null = null;

  constructor(
    private readonly settings: Pick<Settings, 'deviceMs'>,
    private readonly browser: string | null,
  ) {}

  /** A room that is linked up. */
  async open(): Promise<TrainingRoom> {
    this.#pageDir ??= this.#belongings.hold(buildPage(), removeDir);
    const rig = new SwarmRig({
      peers: PEERS,
      browser: this.browser,
      deviceMs: Array.from({ length: PEERS }, () => this.settings.deviceMs),
      delays: linkDelays(),
      pageDir: await this.#pageDir,
      isHidden: true,
      onCpu: true,
    });
    await this.#belongings.hold(
      rig.open().then(() => rig),
      () => rig.close(),
    );
    await rig.whenLinked();
    return rig;
  }

  close(): Promise<void> {
    return this.#belongings.close();
  }
}
