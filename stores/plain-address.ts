/** The one spelling of a server's address: host in small letters, no default port, no slash at the end. */
export function plainAddress(url: string): string {
  return new URL(url).href.replace(/\/+$/, '');
}
