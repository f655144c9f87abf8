"""What is written of a set text: lead sheet, LRC, UltraStar, karaoke page, guide vocal."""
