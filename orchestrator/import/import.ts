import type { DraftManifest, Imported } from './draft.ts';

/** What was found somewhere, what several of it share, and what else the report says. */
export interface Import {
  readonly found: readonly Imported[];
  readonly shared: readonly DraftManifest[];
  readonly remarks: readonly string[];
}
