const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/**
 * Whether XML 1.0 can carry this text: of the control characters it knows tab, line feed and carriage return only, and no
 * half of a surrogate pair (section 2.2).
 */
export function fitsXml(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.isWellFormed() && !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(text);
}

/** An element with text in it. A carriage return is written as a reference, or it would be read as a line feed (2.11). */
export function element(name: string, text: string): string {
  return `<${name}>${escaped(text)}</${name}>`;
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('\r', '&#13;');
}

/** Name of the outermost element; undefined for what is no XML as Jenkins writes it. */
export function rootOf(xml: string): string | undefined {
  return /^\s*(?:<\?xml[^>]*\?>\s*)?<([\w.$-]+)[\s/>]/.exec(xml)?.[1];
}

/**
 * Text of the first element of that name that holds text alone; undefined when there is none. Enough for what XStream
 * writes: no comments, no CDATA, markup in text always escaped.
 */
export function textOf(xml: string, name: string): string | undefined {
  if (new RegExp(`<${name}/>`).test(xml)) return '';
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text?.replace(/&(?:#(\d+)|#x([\da-fA-F]+)|(\w+));/g, (whole, decimal, hex, entity) => {
    if (entity !== undefined) return ENTITIES[entity] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
