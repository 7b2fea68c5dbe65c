/**
 * The library for QR codes. This file is for the type checker: a browser cannot resolve a package's name, so what it
 * gets at this address is the package's own module (lib/pages.ts).
 */

export { generate } from "lean-qr";
