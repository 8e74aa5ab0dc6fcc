# SPDX-License-Identifier: Apache-2.0
"""Each rule of check_layers.py must fire on a tree that breaks it, and stay silent on one that does not."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check_layers

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"


class CheckLayers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        for name, floor, deps in (("low", 0, ""), ("peer", 0, ""), ("high", 1, "low")):
            self.write(f"{name}/CMakeLists.txt", f"# SPDX-License-Identifier: Apache-2.0\nweft_module({name}\n FLOOR {floor}\n DEPS {deps}\n TESTS )\n")
            self.write(f"{name}/x.h", SPDX + "#pragma once\n")

    def tearDown(self):
        self.folder.cleanup()

    def write(self, inside, text):
        path = self.root / "src/weft" / inside
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def problems(self, inside, text):
        self.write(inside, text)
        return check_layers.check(self.root)

    def test_clean(self):
        text = SPDX + '#include "weft/low/x.h"\n// printf("x"); exit(1)\nconst char* a = "std::cout";\nint f() { return x.time(1\'000); }\n'
        self.assertEqual(self.problems("high/a.cpp", text), [])

    def test_upward(self):
        self.assertIn("includes high", self.problems("low/a.cpp", SPDX + '#include "weft/high/x.h"\n')[0])

    def test_same_floor(self):
        self.assertIn("includes peer", self.problems("low/a.cpp", SPDX + '#include "weft/peer/x.h"\n')[0])

    def test_undeclared(self):
        self.assertIn("not among the DEPS", self.problems("high/a.cpp", SPDX + '#include "weft/peer/x.h"\n')[0])

    def test_upward_dependency(self):
        text = "# SPDX-License-Identifier: Apache-2.0\nweft_module(low FLOOR 0 DEPS high)\n"
        self.assertIn("depends on high", self.problems("low/CMakeLists.txt", text)[0])

    def test_spdx_and_pragma(self):
        self.assertEqual(len(self.problems("low/a.h", "int x;\n")), 2)

    def test_length(self):
        self.assertIn("limit is 600", self.problems("low/a.cpp", SPDX + "int x;\n" * 600)[0])
        self.write("../../scripts/long_files.txt", "src/weft/low/a.cpp a table\n")
        self.assertEqual(check_layers.check(self.root), [])
        self.write("../../scripts/long_files.txt", "src/weft/low/a.cpp\n")
        self.assertIn("no reason", check_layers.check(self.root)[0])

    def test_forbidden(self):
        for code in (
            "std::cout << 1;",
            "printf(a);",
            "std::fprintf(f, a);",
            "fmt::print(a);",
            "exit(1);",
            "std::abort();",
            "auto x = std::getenv(a);",
            "std::random_device d;",
            "auto t = std::chrono::system_clock::now();",
            "auto t = time(nullptr);",
        ):
            with self.subTest(code):
                self.assertEqual(len(self.problems("low/a.cpp", SPDX + code + "\n")), 1)


if __name__ == "__main__":
    unittest.main()
