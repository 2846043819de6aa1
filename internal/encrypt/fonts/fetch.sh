#!/bin/sh
# Fetches the fonts of locked letters and compresses them as they are. Needs apt-get, dpkg, npm
# and gzip; the versions are in README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download fonts-noto-core fonts-droid-fallback fonts-nanum
for deb in *.deb; do dpkg -x "$deb" .; done
npm pack --silent @expo-google-fonts/noto-emoji@0.4.7
tar -xzf expo-google-fonts-noto-emoji-*.tgz
take() { gzip -9nc "$1" >"$here/$2.ttf.gz"; }
for s in "" Arabic Hebrew Devanagari Bengali Gurmukhi Gujarati Oriya Tamil Telugu Kannada Malayalam Sinhala \
  Thai Lao Khmer Myanmar Georgian Armenian Ethiopic Thaana Syriac Symbols Symbols2 Math; do
  take "usr/share/fonts/truetype/noto/NotoSans$s-Regular.ttf" "NotoSans$s"
done
take usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf DroidSansFallback
take usr/share/fonts/truetype/nanum/NanumSquareRoundR.ttf NanumSquareRound
take package/400Regular/NotoEmoji_400Regular.ttf NotoEmoji
cp usr/share/doc/fonts-noto-core/copyright "$here/LICENSE.noto"
cp usr/share/doc/fonts-droid-fallback/copyright "$here/LICENSE.droid"
cp usr/share/doc/fonts-nanum/copyright "$here/LICENSE.nanum"
cp package/LICENSE_FONT "$here/LICENSE.emoji"
