// Package arch keeps the rules of docs/ARCHITECTURE.md that the compiler does not: who may import whom,
// where the environment is read, and what the production build leaves out. It holds tests only; nothing imports it.
package arch
