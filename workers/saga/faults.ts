/**
 * Named points in the code where a test stops, kills or delays the worker. An argument, not a global; production
 * passes {@link noFaults}. Points are `<direction>:<step>:<moment>`:
 * `announced` (the intent is committed), `performed` (the effect happened, nothing is recorded yet),
 * `recorded` (the outcome is committed).
 */
export interface Faults {
  reach(point: string): Promise<void>;
}

export const noFaults: Faults = { reach: async () => undefined };
