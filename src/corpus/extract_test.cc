// SPDX-License-Identifier: Apache-2.0
// Each extractor on a fixture made here, and on damaged copies of it: every prefix and every flipped byte must give
// text or an Error, never anything else.
#include "corpus/extract.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>

#include "base/error.h"
#include "corpus/clean.h"
#include "corpus/dedup.h"
#include "corpus/wordnet.h"
#include "io/file.h"
#include "io/test_dir.h"

namespace unha::corpus {
namespace {

// Without fsync: tests write many small files.
void write_input(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

std::string deflated(const std::string& bytes) {
  uLongf size = compressBound(bytes.size());
  std::string out(size, '\0');
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  out.resize(size);
  return out;
}
std::string big32(uint32_t v) {
  return {static_cast<char>(v >> 24), static_cast<char>(v >> 16), static_cast<char>(v >> 8), static_cast<char>(v)};
}
std::string little32(uint32_t v) {
  return {static_cast<char>(v), static_cast<char>(v >> 8), static_cast<char>(v >> 16), static_cast<char>(v >> 24)};
}

// Runs on all cut and many bit-flipped copies; Error is fine, crashing is not.
template <class Run>
void damage(const std::string& good, const Run& run) {
  auto attempt = [&](const std::string& bytes) {
    try {
      run(bytes);
    } catch (const Error&) {
    }
  };
  for (size_t n = 0; n < good.size(); ++n) attempt(good.substr(0, n));
  for (size_t i = 0; i < good.size(); ++i) {
    for (int bit : {0, 6, 7}) {
      std::string bytes = good;
      bytes[i] = static_cast<char>(bytes[i] ^ (1 << bit));
      attempt(bytes);
    }
  }
}

TEST(HtmlToText, DropsNavigationAndKeepsProseAndPre) {
  std::string html =
      "<html><head><title>T</title><style>p{}</style></head><body><div class=\"navheader\"><div>up</div></div>"
      "<h1>Title<a class=\"headerlink\" href=\"#x\">&para;</a></h1><p>One &amp;\n two &#8217;&#x41; &unknown;</p>"
      "<script>if (a < b) { x(); }</script><pre>  a\n    b</pre><ul><li>first<li><p>second</p></ul>"
      "<table><tr><td>x</td><td>y</td></tr></table><div id=\"search-path\">kept</div><div class='footer'>bye</div>"
      "<!-- gone --><br/>end</body>";
  EXPECT_EQ(clean_text(html_to_text(html)),
            "Title\n\nOne & two \xE2\x80\x99"
            "A &unknown;\n\n  a\n    b\n\n- first\n- second\n\nx  y\n\nkept\n\nend");
  damage(html, [](const std::string& bytes) { html_to_text(bytes); });
}

TEST(RstToText, OpensDirectivesAndReducesRoles) {
  std::string rst =
      ".. index:: heap\n   single: x\n\nTitle\n=====\n\nUse :func:`~heapq.heapify` with ``list[0]`` and *care*;\nsee "
      "`the docs <http://x.y>`_ and :ref:`here <there>`.\n\n.. note:: Mind\n   this.\n\n.. function:: f(x)\n\n   Gives "
      "**x**.\n\nExample::\n\n    a *= b\n\n.. toctree::\n   :maxdepth: 2\n\n   one\n   two\n\nEnd |version|.\n";
  EXPECT_EQ(clean_text(rst_to_text(rst)),
            "Title\n\nUse heapify with list[0] and care;\nsee the docs and here.\n\nNote: Mind\nthis.\n\nf(x)\n\nGives "
            "x.\n\nExample:\n\n    a *= b\n\nEnd version.");
  damage(rst, [](const std::string& bytes) { rst_to_text(bytes); });
}

TEST(PodToText, UnwrapsCodesAndSkipsForeignBlocks) {
  std::string pod =
      "=head1 NAME\n\nperlx - B<bold I<both>> C<< $a <=> $b >> E<lt>x\n\n=over 4\n\n=item *\n\nL<text|perlfunc/open> "
      "X<index>here\n\n=back\n\n=begin html\n\n<b>no</b>\n\n=end html\n\n  code E<lt>\n\n=cut\n\nperl code\n";
  EXPECT_EQ(clean_text(pod_to_text(pod)), "NAME\n\nperlx - bold both $a <=> $b <x\n\n- text here\n\n  code E<lt>");
  damage(pod, [](const std::string& bytes) { pod_to_text(bytes); });
  EXPECT_NO_THROW(pod_to_text("=head1 " + std::string(5000, 'B') + std::string(5000, '<')));
  std::string deep;
  for (int i = 0; i < 3000; ++i) deep += "B<";
  EXPECT_NO_THROW(pod_to_text("=head1 " + deep));
}

TEST(ExtractDictd, TakesEachEntryOnceInOrder) {
  // Entries at 0 (6 bytes), 6 (12 bytes); base 64: G = 6, M = 12.
  std::string dict = "one\n a{b} 2\n    tail\n";
  std::string index = "00-database-info\tA\tB\none\tA\tG\nuno\tA\tG\ntwo\tG\tM\n";
  std::vector<std::string> texts;
  extract_dictd(index, dict, "d", [&](Document&& d) { texts.push_back(d.text); });
  ASSERT_EQ(texts.size(), 2u);
  EXPECT_EQ(texts[0], "one\n a\n");
  EXPECT_EQ(clean_text(texts[1]), "b 2\nta");
  damage(index, [&](const std::string& bytes) { extract_dictd(bytes, dict, "d", [](Document&&) {}); });
  expect_error(ErrorCode::kCorrupt, "bytes at", [&] { extract_dictd("x\tA\t/////\n", dict, "d", [](Document&&) {}); });
}

TEST(ExtractRdata, FindsLongAndShortStrings) {
  std::string lines;
  auto charsxp = [](const std::string& text) {
    return std::string("\x00\x04\x00\x09", 4) + big32(static_cast<uint32_t>(text.size())) + text;
  };
  for (int i = 0; i < 40; ++i) lines += charsxp("It is line number " + std::to_string(i) + " of a novel.");
  lines += charsxp("");
  std::string record = "X\n" + lines;
  std::string packed = deflated(record);
  std::string rdb = big32(static_cast<uint32_t>(record.size())) + packed + big32(10) + deflated("tiny");
  std::vector<std::string> texts;
  extract_rdata(rdb, "r", [&](Document&& d) { texts.push_back(d.text); });
  ASSERT_EQ(texts.size(), 1u);
  EXPECT_EQ(texts[0].substr(0, 32), "It is line number 0 of a novel.\n");
  damage(rdb, [](const std::string& bytes) { extract_rdata(bytes, "r", [](Document&&) {}); });
}

TEST(ExtractSword, JoinsVersesIntoChaptersAndDropsNotes) {
  std::string block =
      "<chapter osisID=\"G.1\" sID=\"1\"/>In <w lemma=\"x\">the</w> be<w>ginning</w>.<note>no</note>And &amp; light."
      "<chapter osisID=\"G.2\" sID=\"2\"/>Then.";
  std::string data = deflated(block);
  std::string blocks =
      little32(0) + little32(static_cast<uint32_t>(data.size())) + little32(static_cast<uint32_t>(block.size()));
  auto first = static_cast<uint32_t>(block.find("And"));
  auto second = static_cast<uint32_t>(block.rfind("<chapter"));
  for (bool wide : {false, true}) {
    std::string verses;
    auto verse = [&](uint32_t start, uint32_t length) {
      verses += little32(0) + little32(start) + little32(length).substr(0, wide ? 4 : 2);
    };
    verse(0, 0);
    verse(0, first);
    verse(0, first);  // shared by two verses
    verse(first, second - first);
    verse(second, static_cast<uint32_t>(block.size()) - second);
    std::vector<std::string> texts;
    extract_sword({blocks, verses, data, wide}, "s", [&](Document&& d) { texts.push_back(clean_text(d.text)); });
    EXPECT_EQ(texts, (std::vector<std::string>{"In the beginning. And & light.", "Then."})) << wide;
    damage(verses, [&](const std::string& bytes) {
      extract_sword({blocks, bytes, data, wide}, "s", [](Document&&) {});
    });
    damage(blocks, [&](const std::string& bytes) {
      extract_sword({bytes, verses, data, wide}, "s", [](Document&&) {});
    });
    damage(data, [&](const std::string& bytes) {
      extract_sword({blocks, verses, bytes, wide}, "s", [](Document&&) {});
    });
  }
}

// Two nouns (a thing and a kind of it), an adjective and its opposite.
void write_wordnet(const TestDir& dir) {
  write_input(dir / "data.noun",
              "  1 licence text\n00000010 03 n 01 thing 0 000 | an object; \"a thing of beauty\"\n"
              "00000020 03 n 02 red_box 0 case 1 001 @ 00000010 n 0000 | a thing; that holds  \n");
  write_input(dir / "data.adj",
              "00000030 00 a 01 hot 0 001 ! 00000040 a 0101 | very warm; \"hot stove\"; \"hot water\"\n"
              "00000040 00 a 01 cold(p) 0 001 ! 00000030 a 0101 | not warm\n");
  write_input(dir / "data.verb", "");
  write_input(dir / "data.adv", "");
  write_input(dir / "cntlist.rev", "hot%3:00:00:: 1 20\ncase%1:03:01:: 1 7\n");
}

TEST(WordNet, ReadsWordsGlossesPointersAndCounts) {
  TestDir dir;
  write_wordnet(dir);
  WordNet net = WordNet::load(dir.path());
  ASSERT_EQ(net.synsets.size(), 4u);
  EXPECT_EQ(net.synsets[1].words[0].lemma, "red box");
  EXPECT_EQ(net.synsets[1].words[1].count, 7);
  EXPECT_EQ(net.synsets[1].definition, "a thing; that holds");
  EXPECT_EQ(net.synsets[1].hypernyms, (std::vector<int64_t>{0}));
  EXPECT_EQ(net.synsets[2].examples, (std::vector<std::string>{"hot stove", "hot water"}));
  EXPECT_EQ(net.synsets[2].words[0].count, 20);
  ASSERT_EQ(net.synsets[2].antonyms.size(), 1u);
  EXPECT_EQ(net.synsets[static_cast<size_t>(net.synsets[2].antonyms[0].target)].words[0].lemma, "cold");
  std::vector<std::string> texts;
  extract("wordnet", {dir.path(), {}, {}}, [&](Document&& d) { texts.push_back(clean_text(d.text)); });
  EXPECT_EQ(
      texts[0],
      "thing (noun): an object. For example: \"a thing of beauty\"\n\nred box, case (noun): a thing; that holds. A "
      "kind of thing.");
}

TEST(WordNet, NamesFileAndLineOfDamage) {
  TestDir dir;
  write_wordnet(dir);
  std::string good = read_file(dir / "data.noun");
  damage(good, [&](const std::string& bytes) {
    write_input(dir / "data.noun", bytes);
    WordNet::load(dir.path());
  });
  write_input(dir / "data.noun", "00000010 03 n 0z thing 0 000 | x\n");
  expect_error(ErrorCode::kCorrupt, "data.noun line 1", [&] { WordNet::load(dir.path()); });
}

TEST(Extract, NamesUnknownExtractorsAndEmptyChoices) {
  TestDir dir;
  write_input(dir / "a.txt", "x");
  expect_error(ErrorCode::kInvalidArgument, "wordnet", [&] {
    extract("mobi", {dir.path(), {}, {}}, [](Document&&) {});
  });
  expect_error(ErrorCode::kNotFound, "no file fits", [&] { extract("html", {dir.path(), {}, {}}, [](Document&&) {}); });
}

TEST(StripGutenberg, LeavesTheBook) {
  EXPECT_EQ(strip_gutenberg(
                "The Project Gutenberg EBook\n*** START OF THIS BOOK ***\n\nProduced by X\n\nCALL me.\n\n*** END OF"),
            "CALL me.");
  EXPECT_EQ(strip_gutenberg("No frame."), "No frame.");
}

TEST(SplitLongText, CutsAtParagraphsOnly) {
  std::vector<std::string> pieces = split_long_text("aaaa\n\nbbbb\n\ncccccccccccc\n\nd", 9);
  EXPECT_EQ(pieces, (std::vector<std::string>{"aaaa\n\nbbbb", "cccccccccccc", "d"}));
}

TEST(ParagraphFilter, DropsLaterCopiesButKeepsShortHeadings) {
  ParagraphFilter filter;
  EXPECT_EQ(filter.keep_new("Return value\n\nThis function returns nothing."),
            "Return value\n\nThis function returns nothing.");
  EXPECT_EQ(filter.keep_new("Return value\n\nThis  function\nreturns nothing.\n\nNew text is kept."),
            "Return value\n\nNew text is kept.");
  EXPECT_EQ(filter.removed(), 1);
}

TEST(OverlapFinder, FindsRunsOfThirteenWordsOnly) {
  OverlapFinder finder;
  std::string thirteen = "one two three four five six seven eight nine ten eleven twelve thirteen";
  std::string twelve = "a b c d e f g h i j k l";
  std::string heldout = "Prefix " + thirteen + ".\n\n" + twelve + " and more of other words";
  finder.add_heldout(heldout);
  finder.mark_training("x\n\nNow ONE, two; three four five six seven eight nine ten eleven twelve (thirteen)!\n\n" +
                       twelve);
  ASSERT_EQ(finder.shares().size(), 1u);
  EXPECT_EQ(finder.shares()[0].marked, 1);
  int64_t removed = 0;
  EXPECT_EQ(finder.without_overlap(heldout, &removed), twelve + " and more of other words");
  EXPECT_EQ(removed, 1);
}

}  // namespace
}  // namespace unha::corpus
