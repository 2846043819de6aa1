package encrypt

import "strings"

// script is a letter in one language, as short as it may be and still show what is hard about
// its writing.
type script struct{ name, lang, title, body string }

// scripts are letters in languages and scripts that clients of a practice in Britain read.
func scripts() []script {
	return []script{
		{"english", "en-GB", "Our plan for the coming weeks", "Dear Sam,\n\nThank you for coming on Tuesday. We spoke about sleep, “small steps” – and what helps when it doesn’t work: naïve café façade, £45, fi fl ffi.\n\nhttps://example.org/plan?week=2&day=tuesday is the page that I mentioned."},
		{"welsh", "cy", "Ein cynllun", "Annwyl Siân,\n\nDiolch am ddod ddydd Mawrth. Mae’r tŷ a’r dŵr yn dawel heno; ŵ ŷ Ŵ Ŷ ẃ ẁ."},
		{"polish", "pl", "Plan na następne tygodnie", "Szanowna Pani,\n\nzażółć gęślą jaźń. Spotkamy się w środę o 15:30 – proszę wziąć notatki."},
		{"vietnamese", "vi", "Kế hoạch của chúng ta", "Chào chị,\n\nCảm ơn chị đã đến hôm thứ Ba. Chúng ta đã nói về giấc ngủ và những bước nhỏ: ậ ễ ộ ữ ỵ."},
		{"greek", "el", "Το σχέδιό μας", "Αγαπητή Ελένη,\n\nευχαριστώ που ήρθες την Τρίτη. Μιλήσαμε για τον ύπνο· ΐ ΰ ᾳ ῷ."},
		{"ukrainian", "uk", "Наш план", "Шановна Олено,\n\nдякую, що прийшли у вівторок. Їжак, ґанок, щедрий; пʼять п’ять."},
		{"arabic", "ar", "خطتنا للأسابيع القادمة", "عزيزتي سلمى،\n\nشكراً لحضورك يوم الثلاثاء. تحدثنا عن النوم والخطوات الصغيرة، والموعد القادم الساعة 15:30 يوم 24 نوفمبر في Leeds مع Dr Okafor.\n\nلا إله إلا الله، الله أكبر: بِسْمِ اللَّهِ."},
		{"urdu", "ur", "ہمارا منصوبہ", "محترمہ،\n\nمنگل کو آنے کا شکریہ۔ ہم نے نیند کے بارے میں بات کی؛ ٹ ڈ ڑ ں ھ ے۔"},
		{"persian", "fa", "برنامهٔ ما", "سلام،\n\nاز این که سه\u200cشنبه آمدید سپاسگزارم. می\u200cخواهم درباره\u200cی خواب بنویسم: پ چ ژ گ ۱۲۳۴۵."},
		{"hebrew", "he", "התוכנית שלנו", "שלום דנה,\n\nתודה שבאת ביום שלישי. דיברנו על שינה (ועל \"צעדים קטנים\") בשעה 15:30. שָׁלוֹם."},
		{"hindi", "hi", "हमारी योजना", "प्रिय मीरा,\n\nमंगलवार को आने के लिए धन्यवाद। हमने नींद और छोटे क़दमों पर बात की: क्षत्रिय, ज्ञान, हिन्दी, र्क, श्री।"},
		{"bengali", "bn", "আমাদের পরিকল্পনা", "প্রিয় মিতা,\n\nমঙ্গলবার আসার জন্য ধন্যবাদ। আমরা ঘুম নিয়ে কথা বলেছি: ক্ষ জ্ঞ স্ত্রী কো।"},
		{"punjabi", "pa", "ਸਾਡੀ ਯੋਜਨਾ", "ਪਿਆਰੀ ਸਿਮਰਨ,\n\nਮੰਗਲਵਾਰ ਨੂੰ ਆਉਣ ਲਈ ਧੰਨਵਾਦ। ਅਸੀਂ ਨੀਂਦ ਬਾਰੇ ਗੱਲ ਕੀਤੀ।"},
		{"gujarati", "gu", "આપણી યોજના", "પ્રિય મીના,\n\nમંગળવારે આવવા બદલ આભાર. આપણે ઊંઘ વિશે વાત કરી: ક્ષ જ્ઞ શ્રી."},
		{"tamil", "ta", "நமது திட்டம்", "அன்புள்ள மீனா,\n\nசெவ்வாய்க்கிழமை வந்ததற்கு நன்றி. தூக்கம் பற்றிப் பேசினோம்: கொ கோ கௌ ஸ்ரீ."},
		{"thai", "th", "แผนของเรา", "เรียน คุณมะลิ\n\nขอบคุณที่มาเมื่อวันอังคาร เราคุยกันเรื่องการนอนและก้าวเล็กๆ น้ำ ที่ ผู้ ญี่ปุ่น"},
		{"amharic", "am", "እቅዳችን", "ውድ ሳራ፣\n\nማክሰኞ ስለመጡ እናመሰግናለን። ስለ እንቅልፍ ተነጋገርን።"},
		{"chinese", "zh", "我们的计划", "亲爱的小林：\n\n感谢您星期二来访。我们谈到了睡眠和“小步骤”，下次见面是11月24日15:30。繁體字：讓我們繼續。"},
		{"japanese", "ja", "これからの計画", "田中さま、\n\n火曜日はお越しいただきありがとうございました。睡眠と「小さな一歩」について話しました。カタカナ、ー、。"},
		{"korean", "ko", "우리의 계획", "안녕하세요, 지은 님.\n\n화요일에 와 주셔서 감사합니다. 우리는 수면과 작은 걸음에 대해 이야기했습니다. 뷁 쀍."},
		{"emoji", "en", "Well done 🎉", "You did it 👍🏽 and it is sunny ☀️ 😀 👩‍👧 🇬🇧 ❤️ ✔ ☎ → ≤ ½ №5 ♀.\n\n❤️🙂"},
	}
}

func (s script) letter() Letter {
	return Letter{Title: s.title, Lang: s.lang, Blocks: FromText(s.body)}
}

// bare is text without white space and without what only directs how it is shown: what two
// readers of one page agree on.
func bare(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0xa0 || unseen(r) {
			return -1
		}
		return r
	}, s)
}
