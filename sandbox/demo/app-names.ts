/** The applications of the shop. */
export const APP_NAMES = ['web', 'jobs', 'mail'] as const;
export type AppName = (typeof APP_NAMES)[number];
