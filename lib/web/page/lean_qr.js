/**
 * The library for QR codes, for the type checker. A browser cannot resolve a package's name, so what it gets at this
 * address is the package's own module (lib/http/pages.ts).
 */

export { generate } from "lean-qr";
