import { runConfig } from '../defaults.ts';
import type { Room } from '../room.ts';
import { EpApp } from './ep-app.ts';
import { documentStyles } from './styles.ts';

/** For automation: the room once it is joined, why it could not be joined, and configurations to start it with. */
export interface Automation {
  room: Room | null;
  error: string | null;
  runConfig: typeof runConfig;
}

declare global {
  interface Window {
    edgepipe: Automation;
  }
}

const automation: Automation = { room: null, error: null, runConfig };
window.edgepipe = automation;
const style = document.createElement('style');
style.textContent = documentStyles.cssText;
document.head.append(style);

const app = new EpApp();
app.addEventListener('ep-joined', ({ detail }) => {
  automation.room = detail;
  automation.error = null;
});
app.addEventListener('ep-failed', ({ detail }) => {
  automation.error = detail;
});
document.body.append(app);

// The others learn at once that this peer leaves. A page that comes back from the browser's cache joins anew.
window.addEventListener('pagehide', () => automation.room?.leave());
window.addEventListener('pageshow', ({ persisted }) => {
  if (persisted) location.reload();
});
window.addEventListener('popstate', () => location.reload());
