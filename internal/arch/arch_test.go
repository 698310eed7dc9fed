package arch

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestArchitecture reads the source and not `go list`: a list sees one set of build tags, the source holds both.
func TestArchitecture(t *testing.T) {
	t.Parallel()
	files, err := readModule(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"cmd/worker", "internal/voip"} {
		if !slices.ContainsFunc(files, func(f *file) bool { return f.dir == dir }) {
			t.Errorf("no Go file seen in %s: the test looks at the wrong folder", dir)
		}
	}
	for _, v := range violations(files) {
		t.Error(v)
	}
}

// A file is what the rules need to know of one source file.
type file struct {
	name string // slash-separated, from the module's root
	dir  string
	test bool
	// production is whether `-tags production` compiles it.
	production bool
	syntax     *ast.File
	fset       *token.FileSet
}

func (f *file) ships() bool {
	return !f.test && !forTests(f.dir) && (f.under("cmd") || f.under("internal"))
}

func forTests(dir string) bool { return dir == testkit || dir == clitest }

func (f *file) under(folder string) bool { return within(f.dir, folder) }

func (f *file) imports(want string) bool {
	return slices.ContainsFunc(f.syntax.Imports, func(s *ast.ImportSpec) bool { return importPath(s) == want })
}

func (f *file) at(pos token.Pos) string {
	return fmt.Sprintf("%s:%d", f.name, f.fset.Position(pos).Line)
}

// readModule parses every Go file of the module at the root of fsys. Folders with a go.mod of their own are other
// modules, and what the go command ignores is ignored here.
func readModule(fsys fs.FS) ([]*file, error) {
	var files []*file
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && skipped(fsys, name):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		f, err := readFile(fsys, name)
		files = append(files, f)
		return err
	})
	return files, err
}

func skipped(fsys fs.FS, dir string) bool {
	base := path.Base(dir)
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := fs.Stat(fsys, path.Join(dir, "go.mod"))
	return err == nil
}

func readFile(fsys fs.FS, name string) (*file, error) {
	source, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	production, err := inProduction(syntax)
	return &file{
		name: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
		production: production, syntax: syntax, fset: fset,
	}, err
}

// inProduction takes every other tag (systems, race, …) for set, so that only `!production` leaves a file out.
func inProduction(syntax *ast.File) (bool, error) {
	for _, group := range syntax.Comments {
		for _, c := range group.List {
			if c.Pos() > syntax.Package || !constraint.IsGoBuild(c.Text) {
				continue
			}
			expr, err := constraint.Parse(c.Text)
			if err != nil {
				return false, err
			}
			return expr.Eval(func(string) bool { return true }), nil
		}
	}
	return true, nil
}

// violations names each breach of the rules as "file:line: what, and why not".
func violations(files []*file) []string {
	var found []string
	unknown := map[string]bool{}
	for _, f := range files {
		if _, ok := mayImport[f.dir]; !ok && !unknown[f.dir] {
			unknown[f.dir] = true
			found = append(found, fmt.Sprintf("%s: package %s has no row in mayImport", f.name, f.dir))
		}
		for _, spec := range f.syntax.Imports {
			if why := wrongImport(f, importPath(spec)); why != "" {
				found = append(found, fmt.Sprintf("%s: imports %s: %s", f.at(spec.Pos()), importPath(spec), why))
			}
		}
		found = append(found, wrongCalls(f)...)
	}
	return found
}

// wrongImport says why f may not import what, or nothing.
func wrongImport(f *file, what string) string {
	for _, rule := range fences {
		about := len(rule.in) == 0 || slices.Contains(rule.in, f.dir)
		if !about || !within(what, rule.path) || !f.ships() {
			continue
		}
		if rule.shipped || rule.production && f.production {
			return rule.why
		}
	}
	ours, internal := strings.CutPrefix(what, modulePath+"/")
	_, known := mayImport[f.dir]
	switch {
	case !internal:
		if standardOnly[f.dir] && !f.test && !standard(what) {
			return f.dir + " sees the standard library alone"
		}
		return ""
	case f.test:
		// A test may bring together what never meets in the product; nothing of it ships.
		return ""
	case forTests(ours) && !forTests(f.dir):
		return "only tests may"
	case known && f.dir != ours && !slices.Contains(mayImport[f.dir], ours):
		return f.dir + " may not see it"
	}
	return ""
}

// wrongCalls looks at names and not at types: a local variable that hides a package is reported too, and is better
// renamed.
func wrongCalls(f *file) []string {
	var found []string
	for _, rule := range calls {
		if rule.allowed(f) {
			continue
		}
		for _, spec := range f.syntax.Imports {
			if importPath(spec) != rule.path {
				continue
			}
			if spec.Name != nil && spec.Name.Name == "." {
				found = append(found, fmt.Sprintf("%s: dot import of %s hides what is called", f.at(spec.Pos()), rule.path))
				continue
			}
			found = append(found, callsOf(f, localName(spec), rule)...)
		}
	}
	return found
}

func callsOf(f *file, pkg string, rule call) []string {
	var found []string
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := selector.X.(*ast.Ident); ok && x.Name == pkg && slices.Contains(rule.names, selector.Sel.Name) {
			found = append(found, fmt.Sprintf("%s: %s.%s: %s", f.at(n.Pos()), path.Base(rule.path), selector.Sel.Name, rule.why))
		}
		return true
	})
	return found
}

func importPath(spec *ast.ImportSpec) string {
	// The parser has already refused a path that is no string literal.
	unquoted, _ := strconv.Unquote(spec.Path.Value)
	return unquoted
}

func localName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	return path.Base(importPath(spec))
}

// standard goes by the rule that only the standard library's import paths have no dot in their first element.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

func within(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, folder+"/")
}
