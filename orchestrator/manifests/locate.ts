import { type Document, isMap, isNode, isScalar, isSeq, type LineCounter } from 'yaml';
import type { Path } from './problem.ts';

export interface Place {
  readonly line: number;
  readonly column: number;
}

/**
 * Where `path` is written: its value, or its key with `'key'`. What isn't there (a missing field) is
 * placed at the nearest thing around it that is.
 */
export function locate(document: Document, lines: LineCounter, path: Path, of: 'value' | 'key'): Place {
  let node: unknown = document.contents;
  let offset = offsetOf(node) ?? document.range?.[0] ?? 0;
  for (const [depth, part] of path.entries()) {
    const last = depth === path.length - 1;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => (isScalar(key) ? key.value : key) === part);
      if (!pair) break;
      const key = offsetOf(pair.key);
      const value = offsetOf(pair.value);
      offset = (last && of === 'key' ? key : (value ?? key)) ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof part === 'number') {
      node = node.items[part];
      offset = offsetOf(node) ?? offset;
    } else break;
  }
  return placeAt(lines, offset);
}

export function placeAt(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

function offsetOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
