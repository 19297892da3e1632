"""From raw words to plain text: HTML, mail quotes and signatures, broken characters, platform noise."""
