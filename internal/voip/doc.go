// Package voip holds the words that every part of the project uses: the push,
// Call Kit's VoipCallAttribute and its enumerations, the one table of reasons,
// the request to and the answer from the report stage, the result, the dead
// letter, and the subjects, tokens and headers that carry them.
//
// It imports the standard library alone, holds no state and does no I/O.
package voip
