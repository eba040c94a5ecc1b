import { css } from 'lit';

/** Colours and the page itself; everything below inherits the custom properties. */
export const documentStyles = css`
  :root {
    color-scheme: light dark;
    --ep-background: #f4f6f8;
    --ep-surface: #ffffff;
    --ep-sunken: #eef1f4;
    --ep-text: #16202a;
    --ep-muted: #4d5a67;
    --ep-line: #d3dae1;
    --ep-control-line: #7b8894;
    --ep-accent: #0b6e4f;
    --ep-on-accent: #ffffff;
    --ep-accent-soft: #dcf1e8;
    --ep-danger: #b3261e;
    --ep-danger-soft: #fdecea;
    --ep-warning: #7a4a00;
    --ep-warning-soft: #fdf1dc;
    --ep-loss: #c2410c;
    --ep-accuracy: #0b6696;
    --ep-grid: #e3e8ed;
  }
  @media (prefers-color-scheme: dark) {
    :root {
      --ep-background: #10151a;
      --ep-surface: #192027;
      --ep-sunken: #222b33;
      --ep-text: #e8edf2;
      --ep-muted: #a9b5c1;
      --ep-line: #333f4a;
      --ep-control-line: #7d8b98;
      --ep-accent: #5bcba2;
      --ep-on-accent: #05231a;
      --ep-accent-soft: #17392e;
      --ep-danger: #ffa39b;
      --ep-danger-soft: #3f1f1d;
      --ep-warning: #f4c274;
      --ep-warning-soft: #3a2c14;
      --ep-loss: #fb923c;
      --ep-accuracy: #60c3f0;
      --ep-grid: #2b3640;
    }
  }
  body {
    margin: 0;
    background: var(--ep-background);
    color: var(--ep-text);
    font:
      1rem/1.5 system-ui,
      -apple-system,
      'Segoe UI',
      Roboto,
      sans-serif;
    -webkit-text-size-adjust: 100%;
  }
`;

/** What all elements share: text, controls, boxes. */
export const sharedStyles = css`
  :host {
    display: block;
    box-sizing: border-box;
    min-width: 0;
  }
  *,
  *::before,
  *::after {
    box-sizing: border-box;
  }
  /* A live region waits for its text without taking a place in the layout. */
  [role='status']:empty,
  [role='alert']:empty {
    position: absolute;
  }
  [hidden] {
    display: none !important;
  }
  h1,
  h2,
  h3,
  p,
  ul,
  ol,
  dl,
  dd {
    margin: 0;
    padding: 0;
  }
  ul,
  ol {
    list-style: none;
  }
  h2 {
    font-size: 1.125rem;
    line-height: 1.3;
    margin-bottom: 0.75rem;
  }
  .box {
    background: var(--ep-surface);
    border: 1px solid var(--ep-line);
    border-radius: 12px;
    padding: 1rem;
  }
  .muted {
    color: var(--ep-muted);
  }
  .small {
    font-size: 0.875rem;
  }
  .notice {
    border-radius: 8px;
    padding: 0.5rem 0.75rem;
    background: var(--ep-warning-soft);
    color: var(--ep-warning);
    overflow-wrap: anywhere;
  }
  .notice.bad {
    background: var(--ep-danger-soft);
    color: var(--ep-danger);
  }
  .row {
    display: flex;
    flex-wrap: wrap;
    gap: 0.5rem;
    align-items: center;
  }
  .badge {
    display: inline-block;
    border-radius: 999px;
    padding: 0 0.5rem;
    font-size: 0.8125rem;
    line-height: 1.5rem;
    background: var(--ep-sunken);
    color: var(--ep-text);
  }
  .badge.strong {
    background: var(--ep-accent-soft);
    color: var(--ep-accent);
  }
  .badge.warning {
    background: var(--ep-warning-soft);
    color: var(--ep-warning);
  }
  button,
  input,
  select {
    font: inherit;
    color: inherit;
    min-height: 44px;
    border-radius: 8px;
    border: 1px solid var(--ep-control-line);
    background: var(--ep-surface);
    padding: 0.375rem 0.75rem;
    max-width: 100%;
  }
  button {
    cursor: pointer;
    padding-inline: 1.125rem;
    font-weight: 600;
  }
  button.primary {
    background: var(--ep-accent);
    border-color: var(--ep-accent);
    color: var(--ep-on-accent);
  }
  button:disabled {
    cursor: not-allowed;
    background: var(--ep-sunken);
    border-color: var(--ep-line);
    color: var(--ep-muted);
  }
  label {
    display: grid;
    gap: 0.25rem;
    font-size: 0.9375rem;
  }
  summary {
    min-height: 44px;
    padding-block: 0.625rem;
    cursor: pointer;
    font-weight: 600;
  }
  :focus-visible {
    outline: 3px solid var(--ep-accent);
    outline-offset: 2px;
  }
  .visually-hidden {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  @media (prefers-reduced-motion: no-preference) {
    button {
      transition: background-color 120ms;
    }
  }
`;
