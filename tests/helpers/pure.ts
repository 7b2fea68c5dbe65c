/** Tests of what needs no permission: that they pass proves that it knows no network, no files and no environment. */

export function testPure(name: string, fn: () => void | Promise<void>): void {
  Deno.test({ name, permissions: "none", fn });
}
