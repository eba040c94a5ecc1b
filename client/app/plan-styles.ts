import { css } from 'lit';

/** How the plan is drawn: side by side where there is room, one below the other on a phone. */
export const planStyles = css`
  :host {
    container-type: inline-size;
    --depth: 45%;
  }
  @media (prefers-color-scheme: dark) {
    :host {
      --depth: 60%;
    }
  }
  .row {
    margin-bottom: 0.75rem;
  }
  #why {
    flex: 1 1 14rem;
  }
  [role='alert'] .notice {
    margin-bottom: 0.75rem;
  }
  .picture {
    display: flex;
    align-items: flex-start;
    margin-bottom: 0.75rem;
  }
  .stage {
    flex: 1 1 0;
    min-width: 0;
  }
  .head {
    display: flex;
    flex-wrap: wrap;
    gap: 0 0.5rem;
    height: 1.5rem;
    overflow: hidden;
    font-weight: 600;
  }
  .head .muted {
    font-weight: 400;
    font-variant-numeric: tabular-nums;
  }
  .picture .box {
    --tone: hsl(var(--hue) 65% var(--depth));
    height: var(--height);
    overflow: hidden;
    padding: 0.25rem 0.5rem;
    border: 1px solid var(--ep-surface);
    border-left: 4px solid var(--tone);
    border-radius: 6px;
    background: var(--ep-sunken);
    background: color-mix(in srgb, var(--tone) 16%, var(--ep-surface));
    line-height: 1.25rem;
    font-size: 0.8125rem;
  }
  .name {
    display: flex;
    gap: 0.375rem;
    align-items: baseline;
    font-size: 0.9375rem;
    font-weight: 600;
    line-height: 1.5rem;
  }
  .name span:first-child {
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .parts {
    display: -webkit-box;
    overflow: hidden;
    -webkit-box-orient: vertical;
    -webkit-line-clamp: var(--lines);
  }
  .parts span {
    margin-right: 0.5rem;
    overflow-wrap: anywhere;
  }
  .self .name span:first-child {
    text-decoration: underline 2px var(--tone);
    text-underline-offset: 3px;
  }
  .role {
    flex: none;
    margin-left: auto;
    font-size: 0.8125rem;
    font-weight: 400;
    font-variant-numeric: tabular-nums;
  }
  .inner {
    margin-top: 0.25rem;
    text-align: center;
    color: var(--ep-muted);
  }
  .boundary {
    flex: 0 0 5rem;
    display: flex;
    flex-direction: column;
  }
  .kind {
    height: 1.5rem;
    text-align: center;
    color: var(--ep-muted);
  }
  .kind::after {
    content: ' →';
  }
  svg {
    display: block;
    width: 100%;
  }
  path {
    fill: none;
    stroke: hsl(var(--hue) 65% var(--depth));
    opacity: 0.55;
    vector-effect: non-scaling-stroke;
  }
  .long {
    flex-wrap: wrap;
    gap: 0.5rem 0;
  }
  .long .stage {
    flex: 1 1 8rem;
  }
  .long .boundary {
    flex-basis: 5rem;
    justify-content: center;
  }
  .long svg {
    display: none;
  }
  details ol > li {
    margin-bottom: 0.5rem;
  }
  details ul {
    padding-left: 1rem;
    list-style: disc;
  }
  p + p {
    margin-top: 0.125rem;
  }
  .picture p {
    margin: 0;
  }
  @container (max-width: 30rem) {
    .picture {
      flex-direction: column;
      align-items: stretch;
      flex-wrap: nowrap;
      gap: 0;
    }
    .stage,
    .boundary,
    .long .stage,
    .long .boundary {
      flex: none;
    }
    .picture .box {
      height: auto;
      min-height: calc(var(--height) * var(--own));
      padding-bottom: 0.5rem;
    }
    .boundary svg {
      display: none;
    }
    .kind {
      height: auto;
      padding-block: 0.25rem;
    }
    .kind::after {
      content: ' ↓';
    }
  }
`;
