import { documentStyles } from '../../../client/app/styles.ts';

/** The page's own style sheet around an element under test; `dark` as on a device that prefers so. */
export function dress(scheme: 'light' | 'dark'): () => void {
  const sheet = new CSSStyleSheet();
  const [light, dark] = documentStyles.cssText.split(/@media \(prefers-color-scheme: dark\)/);
  const [, darkRules, rest] = /^\s*\{\s*(:root \{[^}]*\})\s*\}([\s\S]*)$/.exec(dark)!;
  sheet.replaceSync(`${light}${scheme === 'dark' ? darkRules : ''}${rest}`);
  document.adoptedStyleSheets.push(sheet);
  return () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
  };
}

/** Everything that a person can read in an element and in the elements within it. */
export function readable(root: Element | ShadowRoot): string {
  const read = (node: Node): string => {
    if (node instanceof HTMLElement && node.hidden) return '';
    if (node instanceof HTMLStyleElement) return '';
    const inside = node instanceof Element && node.shadowRoot ? node.shadowRoot : node;
    return node.nodeType === Node.TEXT_NODE ? node.textContent! : [...inside.childNodes].map(read).join(' ');
  };
  return read(root).replaceAll(/\s+/g, ' ').trim();
}

/** Finds an element by its selectors, one for each shadow root on the way. */
// As querySelector does.
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
export function within<T extends Element = HTMLElement>(root: Element, ...selectors: string[]): T {
  const found = selectors.reduce<Element | null>(
    (at, selector) => (at?.shadowRoot ?? at)?.querySelector(selector) ?? null,
    root,
  );
  if (!found) throw new Error(`There is no ${selectors.join(' > ')}.`);
  return found as T;
}
